import json
from dataclasses import replace

import pytest

from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.request import body_of
from infra.language_model.errors import PromptRejected
from models.chat_completions import CreateChatCompletionRequest
from models.language_model import ChatBody, ModelRequest, TextPart, UserTurn

REQUEST = ModelRequest("a", (UserTurn((TextPart("Grüße 🙂"),)),), max_tokens=7, stop="\nObservation:")


def endpoint(model: str, provider: str = "openai") -> Endpoint:
    return Endpoint("http://own.test/v1/chat/completions", provider, model, model, {}, 5, 600)


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


@pytest.mark.parametrize(
    ("effort", "thinking"),
    [("none", {"type": "disabled"}), ("low", {"type": "enabled"}), ("high", {"type": "enabled"}), (None, None)],
)
def test_effort_turns_deepseeks_thinking_on_and_off(effort: str | None, thinking: dict[str, str] | None) -> None:
    body = json.loads(body_of(replace(REQUEST, reasoning_effort=effort), endpoint("m", "deepseek")))

    assert body.get("thinking") == thinking
    assert "reasoning_effort" not in body


MESSAGES = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
TOOLS = [{"type": "function", "function": {"name": "f", "strict": True}}, {"type": "custom", "custom": {"name": "c"}}]


def passed_on(**fields: object) -> ModelRequest:
    return replace(REQUEST, chat=ChatBody({"model": "a", "messages": MESSAGES, "n": 2, **fields}, ("n",)))


@pytest.mark.parametrize(
    ("given", "model", "prefix", "sent"),
    [
        ({"max_tokens": 5, "stop": "x"}, "o3-mini", "openai", {"max_completion_tokens": 5, "stop": "x"}),
        ({"max_completion_tokens": 5}, "gpt-4o", "openai", {"max_completion_tokens": 5}),
        ({"max_completion_tokens": 5}, "m", "groq", {"max_tokens": 5}),
        ({"seed": None, "stream": None, "stream_options": None}, "m", "groq", {}),
        ({"tool_choice": "required"}, "m", "mistral", {"tool_choice": "any"}),
        ({}, "m", "deepseek", {"messages": [{"role": "user", "content": "ab"}]}),
        ({"tools": TOOLS}, "m", "xai", {"tools": [{"type": "function", "function": {"name": "f"}}, TOOLS[1]]}),
    ],
)
def test_body_that_is_passed_on_is_in_the_providers_dialect(
    given: dict[str, object], model: str, prefix: str, sent: dict[str, object]
) -> None:
    request = passed_on(**given)

    body = json.loads(body_of(request, endpoint(model, prefix)))

    assert body == {"model": model, "messages": MESSAGES, "n": 2, "stream": False, **sent}
    assert request == passed_on(**given)


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_obfuscation": True, "include_usage": False}}])
def test_usage_of_a_stream_that_is_passed_on_is_asked_for(options: dict[str, dict[str, bool]]) -> None:
    body = json.loads(body_of(passed_on(stream=True, **options), endpoint("m")))

    assert body["stream"] is True
    assert body["stream_options"] == {**options.get("stream_options", {}), "include_usage": True}


@pytest.mark.parametrize(
    ("defaults", "prefix"),
    [
        ({"parallel_tool_calls": True}, "ollama"),
        ({"response_format": {"type": "text"}, "frequency_penalty": 0}, "zai"),
        ({"temperature": 1, "top_p": 1.0, "n": 1, "stop": [], "tools": [], "logprobs": False}, "openai"),
        ({"tool_choice": "auto", "presence_penalty": 0.0, "logit_bias": {}, "store": None}, "groq"),
    ],
)
def test_openais_defaults_are_not_passed_on(defaults: dict[str, object], prefix: str) -> None:
    asked = CreateChatCompletionRequest.model_validate(
        {"model": "a", "messages": [{"role": "user", "content": "Hi"}], "seed": 1, **defaults}
    )

    body = json.loads(body_of(asked.model_request(), endpoint("m", prefix)))

    assert body == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "seed": 1, "stream": False}


def test_stream_options_are_kept_from_providers_without_them() -> None:
    asked, without = passed_on(stream=True, stream_options={"include_usage": True}), endpoint("m", "ai21_chat")

    assert "stream_options" not in json.loads(body_of(asked, without))
    with pytest.raises(PromptRejected, match=r"does not support parameters: stream_options\.include_obfuscation"):
        body_of(passed_on(stream=True, stream_options={"include_obfuscation": True}), without)
