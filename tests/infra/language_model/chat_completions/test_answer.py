"""Wire formats that litellm changes or hides: tested with the direct adapter only."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.answer import ChatCompletionsAnswer
from infra.language_model.chat_completions.answer_fields import parsed
from infra.language_model.chat_completions.failures import UnreadableAnswer
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.errors import (
    ModelCallFailed,
    ModelStreamBroken,
    PromptRejected,
    ProviderRefused,
    ProviderUnavailable,
)
from models.language_model import ChatBody, FinishReason, ModelDelta, TextDelta, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.infra.language_model.conftest import Adapter
from tests.provider.replies import BreaksOff, Chunks, Fails, Hangs, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


@pytest.fixture
def adapter() -> Adapter:
    return ChatCompletionsLanguageModel


def read(*chunks: Any) -> tuple[list[ModelDelta], ChatCompletionsAnswer]:
    answer = ChatCompletionsAnswer()
    return [delta for chunk in chunks for delta in answer.read(json.dumps(chunk).encode())], answer


def test_numbers_that_json_lacks_are_null() -> None:
    assert parsed(b'{"a": [-1e999, 1e999, NaN, -Infinity, -1.5]}') == {"a": [None, None, None, None, -1.5]}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("end_turn", FinishReason.STOP),
        ("STOP", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("refusal", FinishReason.CONTENT_FILTER),
    ],
)
def test_known_finish_reasons_end_answer(word: str, reason: FinishReason) -> None:
    assert read(chunk_of({"content": "Hi"}, word))[1].finish_reason is reason


@pytest.mark.parametrize(
    "chunk",
    [
        [],
        3,
        {"choices": {"delta": {}}},
        {"choices": ["x"]},
        chunk_of({"content": 3}),
        chunk_of({"tool_calls": {}}) | {"choices": [{"delta": {"tool_calls": "x"}}]},
        {"choices": [{"delta": {"tool_calls": ["x"]}}]},
        {"choices": [{"delta": {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}}]},
    ],
)
def test_malformed_chunk_is_rejected(chunk: Any) -> None:
    with pytest.raises(UnreadableAnswer):
        read(chunk)


@pytest.mark.parametrize(
    "chunk",
    [
        None,
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"delta": None, "finish_reason": None}]},
        chunk_of({"role": "assistant", "content": None, "tool_calls": None, "refusal": None}),
        {"choices": [], "usage": None},
        {"choices": [], "usage": "much"},
        {"error": None},
    ],
)
def test_empty_chunk_is_ignored(chunk: Any) -> None:
    deltas, answer = read(chunk, chunk_of({"content": "Hi"}, "stop"))

    assert deltas == [TextDelta("Hi")]
    assert answer.usage is None


@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": None}, {"prompt_tokens": "3", "prompt_tokens_details": None}, {"prompt_tokens_details": []}],
)
def test_malformed_usage_counts_as_zero(usage: dict[str, Any]) -> None:
    assert read({"usage": usage})[1].usage == TokenUsage()


async def test_answer_is_complete_without_end_of_stream(
    language_model: ChatCompletionsLanguageModel, provider: ScriptedProvider, model: str
) -> None:
    whole = (chunk_of({"content": "Hi"}, "stop"), {"choices": [], "usage": USAGE})
    provider.script(model, Chunks(*whole, done=False), Hangs(chunks=whole), Says("Next."))

    answered = [await ask(language_model, saying(model)) for _ in range(2)]

    assert [(answer.text, answer.usage) for answer in answered] == [("Hi", TokenUsage(3, 2))] * 2
    await provider.disconnected(model)
    assert (await ask(language_model, saying(model))).text == "Next."


async def test_data_after_end_is_not_read(
    language_model: ChatCompletionsLanguageModel, provider: ScriptedProvider, model: str
) -> None:
    end = (chunk_of({"content": "Hi"}, "stop"), "[DONE]")
    provider.script(model, Chunks(*end, chunk_of({"content": "more"}), "no JSON"))

    assert (await ask(language_model, saying(model))).text == "Hi"


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        ({"error": {"message": "Too long.", "code": "context_length_exceeded"}}, PromptRejected, "Too long."),
        ({"error": {"message": "Bad.", "code": 400}}, PromptRejected, "Bad."),
        ({"object": "error", "message": "Bad.", "type": "BadRequestError", "code": 400}, PromptRejected, "Bad."),
        ({"error": {"message": "No.", "code": 401}}, ProviderRefused, "No."),
        ({"error": "out of memory"}, ProviderUnavailable, "out of memory"),
        ({"error": {"code": 503}}, ProviderUnavailable, "It did not say why."),
    ],
)
async def test_error_in_stream_is_translated(
    language_model: ChatCompletionsLanguageModel,
    provider: ScriptedProvider,
    model: str,
    error: dict[str, Any],
    kind: type[ModelCallFailed],
    said: str,
) -> None:
    provider.script(model, Chunks(json.dumps(error)))

    with pytest.raises(kind) as caught:
        await ask(language_model, saying(model))

    assert str(caught.value) == f"The call of '{model}' failed: {said}"


async def test_too_deeply_nested_chunk_is_rejected(
    language_model: ChatCompletionsLanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Chunks(chunk_of({"content": "It"}), '{"choices": [' + "[" * 100_000))

    with pytest.raises(ModelStreamBroken, match="has a piece that is not JSON"):
        await ask(language_model, saying(model))


async def test_only_beginning_of_huge_error_is_read(
    language_model: ChatCompletionsLanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Fails(500, "x" * 5_000_000))

    with pytest.raises(ProviderUnavailable) as caught:
        await ask(language_model, saying(model))

    assert len(str(caught.value)) <= 1000


async def test_interruption_after_finish_reason_loses_nothing(
    language_model: ChatCompletionsLanguageModel, provider: ScriptedProvider, model: str
) -> None:
    class BreaksAfterReason(BreaksOff):
        async def send(self, exchange: Any) -> None:
            await exchange.delta({"content": "Hi"}, "stop")
            await super().send(exchange)

    provider.script(model, BreaksAfterReason())

    answered = await ask(language_model, saying(model))

    assert (answered.text, answered.reason) == ("Hi", FinishReason.STOP)
    assert answered.usage.completion_tokens == 1


@pytest.mark.parametrize("url", ["ftp://own.test", "own.test/v1", "http://"])
async def test_invalid_url_is_not_retryable(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    language_model = ChatCompletionsLanguageModel(ModelCatalogue())

    with pytest.raises(ProviderRefused):
        await ask(language_model, saying("gpt-4o"))
    await language_model.close()


@pytest.mark.parametrize("key", ["sk-ü", "sk-\nabcdefgh"])
async def test_key_invalid_in_header_is_not_retryable(
    monkeypatch: pytest.MonkeyPatch, provider: ScriptedProvider, key: str
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", provider.url)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    language_model = ChatCompletionsLanguageModel(ModelCatalogue())

    with pytest.raises(ProviderRefused) as caught:
        await ask(language_model, saying("gpt-4o"))
    await language_model.close()

    assert "abcdefgh" not in str(caught.value)


async def test_whole_answer_is_awaited_for_the_timeout_of_whole_answers(
    adapter: Adapter, provider: ScriptedProvider, tmp_path: Path, model: str
) -> None:
    provider.script(model, Hangs())
    file = provider.models_file(tmp_path, router_settings={"timeout": 0.2, "stream_timeout": 2})
    body = ChatBody({"model": model, "messages": [{"role": "user", "content": "Hi"}], "n": 2}, ("n",))

    with pytest.raises(ProviderUnavailable, match=r"nothing came for 0\.2 s"):
        await ask(adapter(ModelCatalogue.load(file)), replace(saying(model), chat=body))
