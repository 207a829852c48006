import json

from models.provider_state import ProviderState

STATE = ProviderState(
    "gemini", {"reasoning_content": "Hm.", "blocks": [{"thinking": "Ha."}]}, {0: {"x": 1}, 2: {"y": 2}}
)


def test_state_survives_storage() -> None:
    assert ProviderState.of_stored(json.loads(json.dumps(STATE.as_stored()))) == STATE


def test_calls_keep_their_fields_when_moved() -> None:
    assert STATE.with_calls_at({0: 1, 2: 0, 3: 2}).calls == {1: {"x": 1}, 0: {"y": 2}}
    assert STATE.with_calls_at({2: 0}).calls == {0: {"y": 2}}


def test_texts_of_message_are_counted() -> None:
    assert list(STATE.texts) == ["Hm.", "Ha."]
