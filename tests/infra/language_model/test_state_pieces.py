from typing import Any

import pytest

from infra.language_model.state_pieces import MAX_CHARACTERS, StatePieces


def collected(*pieces: tuple[str, Any]) -> dict[str, Any] | None:
    state = StatePieces()
    for name, value in pieces:
        state.add(name, value)
    kept = state.state("a")
    return dict(kept.message) if kept else None


def test_texts_are_joined() -> None:
    assert collected(("reasoning", "Let "), ("reasoning", "me."), ("other", "x")) == {
        "reasoning": "Let me.",
        "other": "x",
    }


@pytest.mark.parametrize(
    ("pieces", "blocks"),
    [
        (
            [{"type": "thinking", "thinking": "A"}, {"type": "thinking", "thinking": "", "signature": "s"}],
            [{"type": "thinking", "thinking": "A", "signature": "s"}],
        ),
        (
            [{"type": "thinking", "thinking": "A", "signature": "s"}, {"type": "thinking", "thinking": "B"}],
            [{"type": "thinking", "thinking": "A", "signature": "s"}, {"type": "thinking", "thinking": "B"}],
        ),
        ([{"type": "redacted_thinking", "data": "X"}] * 2, [{"type": "redacted_thinking", "data": "X"}] * 2),
        (
            [
                {"type": "reasoning.text", "index": 0, "text": "A", "signature": None},
                {"type": "reasoning.text", "index": 0, "text": "B", "signature": None},
                {"type": "reasoning.text", "index": 0, "signature": "s"},
                {"type": "reasoning.text", "index": 1, "text": "C"},
            ],
            [
                {"type": "reasoning.text", "index": 0, "text": "AB", "signature": "s"},
                {"type": "reasoning.text", "index": 1, "text": "C"},
            ],
        ),
    ],
    ids=["Claude's pieces", "two blocks", "redacted", "OpenRouter's pieces"],
)
def test_blocks_are_assembled(pieces: list[dict[str, Any]], blocks: list[dict[str, Any]]) -> None:
    assert collected(*(("blocks", [piece]) for piece in pieces)) == {"blocks": blocks}


def test_characters_that_no_database_takes_are_replaced() -> None:
    half, other_half = "\ud83d", "\ude00"

    assert collected(("reasoning", half), ("reasoning", other_half)) == {"reasoning": "\U0001f600"}
    assert collected(("blocks", [{"text": f"a{half}\0"}])) == {"blocks": [{"text": "a\ufffd\ufffd"}]}


@pytest.mark.parametrize("value", [3, None, True])
def test_unknown_forms_are_ignored(value: Any) -> None:
    assert collected(("reasoning", value)) is None


def test_too_large_or_deep_state_is_not_kept() -> None:
    deep: Any = "x"
    for _ in range(30):
        deep = {"deeper": deep}

    assert collected(("reasoning", "x" * MAX_CHARACTERS)) is not None
    assert collected(("reasoning", "x" * MAX_CHARACTERS), ("reasoning", "y")) is None
    assert collected(("extra_content", deep)) is None
