import json

import pytest

from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.request import body_of
from models.language_model import ModelRequest, TextPart, UserTurn

REQUEST = ModelRequest("a", (UserTurn((TextPart("Grüße 🙂"),)),), max_tokens=7, stop="\nObservation:")


def endpoint(model: str) -> Endpoint:
    return Endpoint("http://own.test/v1/chat/completions", "openai", model, model, {}, 5, 600)


@pytest.mark.parametrize("model", ["o3-mini", "o1", "gpt-5", "gpt-5-mini", "gpt-5.4"])
def test_reasoning_models_get_max_completion_tokens(model: str) -> None:
    body = json.loads(body_of(REQUEST, endpoint(model)))

    assert body["max_completion_tokens"] == 7
    assert not {"max_tokens", "stop"} & body.keys()


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "llama3", "omni", "olmo-7b"])
def test_other_models_get_max_tokens(model: str) -> None:
    body = json.loads(body_of(REQUEST, endpoint(model)))

    assert (body["model"], body["max_tokens"], body["stop"]) == (model, 7, ["\nObservation:"])
    assert "max_completion_tokens" not in body
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_text_is_sent_unchanged() -> None:
    assert "Grüße 🙂".encode() in body_of(REQUEST, endpoint("m"))
