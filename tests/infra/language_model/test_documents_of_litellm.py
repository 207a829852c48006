"""One JSON document in place of the stream that litellm asks for: it is the answer, and is asked for once."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.language_model import litellm_connections
from infra.language_model.errors import (
    AnswerAborted,
    AnswerTooLarge,
    ModelCallFailed,
    ModelStreamBroken,
    PromptRejected,
    PromptTooLarge,
    ProviderRefused,
    ProviderUnavailable,
    RateLimited,
)
from models.language_model import FinishReason, Function, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.infra.language_model.litellm_models import opened
from tests.provider.bedrock import BedrockSays
from tests.provider.exchange import Exchange
from tests.provider.replies import BreaksOff, Document, Reply, Says, Whole
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, GeminiSays

FUNCTIONS = (Function("f"), Function("g"))
TEXT = "It is sunny in Rome, and " + "hot " * 20_000
CITY = {"city": "Rome"}
SIGNATURE = "c2lnbmF0dXJl"

CLAUDE = ClaudeSays(
    (
        {"type": "thinking", "thinking": "Rome it is.", "signature": SIGNATURE},
        {"type": "redacted_thinking", "data": "hidden"},
        {"type": "text", "text": TEXT},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": CITY},
        {"type": "tool_use", "id": "toolu_2", "name": "g", "input": {}},
    ),
    "tool_use",
)
BEDROCK = BedrockSays(
    (
        {"reasoningContent": {"text": "Rome it is.", "signature": SIGNATURE}},
        {"reasoningContent": {"redactedContent": "aGlkZGVu"}},
        {"text": TEXT},
        {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": CITY}},
        {"toolUse": {"toolUseId": "tooluse_2", "name": "g", "input": {}}},
    ),
    "tool_use",
)
GEMINI = GeminiSays(
    (
        {"text": "Rome it is.", "thought": True},
        {"text": TEXT},
        {"functionCall": {"name": "f", "args": CITY}, "thoughtSignature": SIGNATURE},
        {"functionCall": {"name": "g"}},
    )
)
ANSWERS: dict[str, tuple[str, Reply, Any]] = {
    "Claude": ("anthropic", CLAUDE, CLAUDE.document),
    "Gemini": ("gemini", GEMINI, GEMINI.document),
    "Gemini, as a list": ("gemini", GEMINI, GEMINI.documents),
    "Bedrock": ("bedrock/converse", BEDROCK, BEDROCK.document),
}


@pytest.mark.parametrize(("prefix", "streamed", "document"), ANSWERS.values(), ids=ANSWERS)
async def test_document_is_read_as_its_stream(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, streamed: Reply, document: Any
) -> None:
    # By the name litellm knows that the model calls functions.
    claude = f"anthropic.claude-{model}"
    language_model = opened(tmp_path, model, model=f"{prefix}/{claude}", api_base=provider.root)
    provider.script(claude, streamed, Document(document))
    request = replace(saying(model), functions=FUNCTIONS)

    wanted, answered = await ask(language_model, request), await ask(language_model, request)

    assert (answered.text, answered.calls) == (TEXT, [("f", json.dumps(CITY)), ("g", "{}")])
    assert (answered.reason, answered.usage.prompt_tokens, answered.usage.completion_tokens) == ("tool_calls", 10, 5)
    assert answered.finish == wanted.finish
    assert SIGNATURE in str(answered.finish.state)
    assert len(provider.requests(claude)) == 2


SAID = {"type": "text", "text": "Hi."}
OLLAMAS = {
    "model": "llama",
    "created_at": "2026-01-01T00:00:00Z",
    "message": {"role": "assistant", "content": "Hi."},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 10,
    "eval_count": 5,
}
WHOLE: dict[str, tuple[str, Any]] = {
    "Claude": ("anthropic", ClaudeSays((SAID,)).document),
    "Claude by Bedrock's invoke": ("bedrock/invoke", ClaudeSays((SAID,)).document),
    "Gemini": ("gemini", GeminiSays(({"text": "Hi."},)).document),
    "Bedrock": ("bedrock/converse", BedrockSays(({"text": "Hi."},)).document),
    "Ollama": ("ollama_chat", OLLAMAS),
    "OpenAI": ("openai", Whole({"content": "Hi."}).document),
    "Databricks": ("databricks", Whole({"content": "Hi."}).document),
}


@pytest.mark.parametrize(("prefix", "document"), WHOLE.values(), ids=WHOLE)
async def test_document_is_the_answer_on_every_wire(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, document: Any
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/anthropic.{model}", api_base=provider.root)
    provider.script(f"anthropic.{model}", Document(document))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.reason, answered.usage) == ("Hi.", FinishReason.STOP, TokenUsage(10, 5))
    assert len(provider.requests(f"anthropic.{model}")) == 1


@pytest.mark.parametrize(
    "prefix", ["openai", "hosted_vllm", "deepseek", "groq", "mistral", "openrouter", "xai", "together_ai", "moonshot"]
)
async def test_whole_answer_in_place_of_stream_is_read_with_every_prefix(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.url)
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in ("f", "g")]
    provider.script(model, Whole({"content": "Hi."}), Whole({"content": None, "tool_calls": calls}, "tool_calls"))

    said, called = [await ask(language_model, replace(saying(model), functions=FUNCTIONS)) for _ in range(2)]

    assert (said.text, said.calls, said.reason, said.usage) == ("Hi.", [], FinishReason.STOP, TokenUsage(10, 5))
    assert (called.text, called.calls) == ("", [("f", "{}"), ("g", "{}")])
    assert len(provider.requests(model)) == 2


@pytest.mark.parametrize(
    ("content_type", "is_compressed"),
    [("application/json", True), ("text/plain", False), ("text/event-stream", False), (None, False)],
    ids=["compressed", "as text", "as events", "without a type"],
)
async def test_form_of_document_does_not_depend_on_its_headers(
    provider: ScriptedProvider, tmp_path: Path, model: str, content_type: str | None, is_compressed: bool
) -> None:
    language_model = opened(tmp_path, model, model=f"anthropic/{model}", api_base=provider.root)
    provider.script(model, Document(ClaudeSays((SAID,)).document, content_type, is_compressed))

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.usage) == ("Hi.", TokenUsage(10, 5))
    assert len(provider.requests(model)) == 1


@pytest.mark.parametrize(
    ("prefix", "document"),
    [
        ("anthropic", ClaudeSays((SAID,), stop_reason=None).document),
        ("gemini", GeminiSays(({"text": "Hi."},), finish=None).document),
        ("bedrock/converse", BedrockSays(({"text": "Hi."},), stop_reason=None).document),
    ],
    ids=["Claude", "Gemini", "Bedrock"],
)
async def test_document_without_a_reason_is_an_unfinished_answer(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, document: Any
) -> None:
    failure = await failed(provider, tmp_path, model, prefix, Document(document))

    assert type(failure) is ModelStreamBroken


def claudes_error(kind: str) -> Mapping[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": "It is so."}}


def geminis_error(code: int) -> Mapping[str, Any]:
    return {"error": {"code": code, "message": "It is so.", "status": "OF_GOOGLE"}}


ERRORS: dict[str, tuple[str, Any, type[ModelCallFailed]]] = {
    "Claude overloaded": ("anthropic", claudes_error("overloaded_error"), ProviderUnavailable),
    "Claude rate": ("anthropic", claudes_error("rate_limit_error"), RateLimited),
    "Claude prompt": ("anthropic", claudes_error("invalid_request_error"), PromptRejected),
    "Claude size": ("anthropic", claudes_error("request_too_large"), PromptTooLarge),
    "Claude key": ("anthropic", claudes_error("authentication_error"), ProviderRefused),
    "Gemini": ("gemini", geminis_error(503), ProviderUnavailable),
    "Gemini, as a list": ("gemini", [geminis_error(429)], RateLimited),
    "Gemini, in the middle": ("gemini", [*GEMINI.documents[:2], geminis_error(429)], ModelStreamBroken),
    "Bedrock": ("bedrock/converse", geminis_error(403), ProviderRefused),
    "OpenAI": ("openai", {"error": "It is so."}, ProviderUnavailable),
}


@pytest.mark.parametrize(("prefix", "document", "kind"), ERRORS.values(), ids=ERRORS)
async def test_error_with_the_status_of_a_success_is_the_providers(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, document: Any, kind: type[ModelCallFailed]
) -> None:
    failure = await failed(provider, tmp_path, model, prefix, Document(document))

    assert type(failure) is kind
    assert "It is so." in str(failure)


@pytest.mark.parametrize("prefix", ["anthropic", "gemini", "bedrock/converse", "openai"])
@pytest.mark.parametrize(
    "document", [{"status": "ok"}, [], {"type": "message", "content": ["no block"]}], ids=["other", "empty", "mistyped"]
)
async def test_unknown_document_is_asked_for_a_few_times(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, document: Any
) -> None:
    failure = await failed(provider, tmp_path, model, prefix, Document(document))

    assert type(failure) is AnswerAborted
    assert "is a JSON document in no known form" in str(failure)


@pytest.mark.parametrize(
    ("prefix", "document"),
    [
        ("anthropic", Whole({"content": "Hi."}).document),
        ("gemini", ClaudeSays((SAID,)).document),
        ("bedrock/converse", Whole({"content": "Hi."}).document),
        ("openai", GEMINI.document),
        ("ollama_chat", BEDROCK.document),
    ],
    ids=["Claude", "Gemini", "Bedrock", "OpenAI", "Ollama"],
)
async def test_document_of_another_wire_is_asked_for_a_few_times(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, document: Any
) -> None:
    failure = await failed(provider, tmp_path, model, prefix, Document(document))

    assert type(failure) is AnswerAborted
    assert "is a JSON document in no known form" in str(failure)


class Blank:
    async def send(self, exchange: Exchange) -> None:
        await exchange.whole(b"\n" * 100_000, {"content-type": "application/json"})


@pytest.mark.parametrize("reply", [Document(CLAUDE.document), Blank()], ids=["document", "blank"])
@pytest.mark.parametrize("prefix", ["anthropic", "gemini", "bedrock/converse", "openai"])
async def test_document_that_is_too_large_is_not_asked_for_again(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, reply: Reply, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(litellm_connections, "MAX_DOCUMENT_BYTES", 1_000)

    failure = await failed(provider, tmp_path, model, prefix, reply)

    assert type(failure) is AnswerTooLarge
    assert not failure.is_retryable


@pytest.mark.parametrize(
    "reply", [Document(CLAUDE.document, is_cut=True), BreaksOff("")], ids=["in the middle", "before it"]
)
@pytest.mark.parametrize("prefix", ["anthropic", "gemini", "bedrock/converse", "openai"])
async def test_document_that_breaks_off_is_not_asked_for_by_litellm_again(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, reply: Reply
) -> None:
    failure = await failed(provider, tmp_path, model, prefix, reply, Says("Hi."))

    assert failure.is_retryable


async def failed(provider: ScriptedProvider, folder: Path, model: str, prefix: str, *replies: Reply) -> ModelCallFailed:
    """The failure of a call that asks the provider once."""
    language_model = opened(folder, model, model=f"{prefix}/{model}", api_base=provider.root)
    provider.script(model, *replies)

    with pytest.raises(ModelCallFailed) as caught:
        await ask(language_model, saying(model))

    assert len(provider.requests(model)) == 1
    return caught.value
