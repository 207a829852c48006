"""Answers on wires that only litellm reads, and those that it reads with code of the provider's own."""

import json
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.language_model.errors import AnswerAborted, ModelStreamBroken
from models.language_model import FinishReason, Function, TextDelta
from tests.infra.language_model.answers import ask, saying
from tests.infra.language_model.litellm_models import opened
from tests.provider.bedrock import BedrockSays
from tests.provider.replies import Bytes, Chunks, Document, Reply, Whole, chunk_of
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, GeminiSays, OllamaSays

NativeReply = ClaudeSays | BedrockSays | GeminiSays
FUNCTIONS = (Function("f"), Function("g"))


async def test_geminis_calls_may_lack_arguments(provider: ScriptedProvider, tmp_path: Path, model: str) -> None:
    language_model = opened(tmp_path, model, model=f"gemini/{model}", api_base=provider.root)
    calls = ({"functionCall": {"name": "f"}}, {"functionCall": {"name": "g", "args": {"city": "Rome"}}})
    provider.script(model, GeminiSays(calls))

    answered = await ask(language_model, replace(saying(model), functions=FUNCTIONS))

    assert answered.calls == [("f", "{}"), ("g", '{"city": "Rome"}')]
    assert answered.reason is FinishReason.TOOL_CALLS


SAID = {"type": "text", "text": "It is"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
TEXT = {"text": "It is"}
USE = {"toolUse": {"toolUseId": "tooluse_1", "name": "f", "input": {}}}
NATIVE: dict[str, tuple[str, NativeReply, FinishReason | None]] = {
    "Claude end_turn": ("anthropic", ClaudeSays((SAID,)), FinishReason.STOP),
    "Claude tool_use": ("anthropic", ClaudeSays((SAID, CALL), "tool_use"), FinishReason.TOOL_CALLS),
    "Claude max_tokens": ("anthropic", ClaudeSays((SAID,), "max_tokens"), FinishReason.LENGTH),
    "Claude window": ("anthropic", ClaudeSays((SAID,), "model_context_window_exceeded"), FinishReason.LENGTH),
    "Claude refusal": ("anthropic", ClaudeSays((SAID,), "refusal"), FinishReason.CONTENT_FILTER),
    "Claude pause_turn": ("anthropic", ClaudeSays((SAID,), "pause_turn"), None),
    "Claude unknown": ("anthropic", ClaudeSays((SAID,), "no_such_word"), None),
    "Claude tool_use without a call": ("anthropic", ClaudeSays((SAID,), "tool_use"), None),
    "Bedrock end_turn": ("bedrock/converse", BedrockSays((TEXT,)), FinishReason.STOP),
    "Bedrock tool_use": ("bedrock/converse", BedrockSays((TEXT, USE), "tool_use"), FinishReason.TOOL_CALLS),
    "Bedrock max_tokens": ("bedrock/converse", BedrockSays((TEXT,), "max_tokens"), FinishReason.LENGTH),
    "Bedrock window": ("bedrock/converse", BedrockSays((TEXT,), "model_context_window_exceeded"), FinishReason.LENGTH),
    **{
        f"Bedrock {word}": ("bedrock/converse", BedrockSays((TEXT,), word), FinishReason.CONTENT_FILTER)
        for word in ("content_filtered", "guardrail_intervened")
    },
    **{
        f"Bedrock {word}": ("bedrock/converse", BedrockSays((TEXT,), word), None)
        for word in ("malformed_tool_use", "malformed_model_output", "no_such_word", "tool_use")
    },
    "Gemini STOP": ("gemini", GeminiSays(({"text": "It is"},)), FinishReason.STOP),
    "Gemini MAX_TOKENS": ("gemini", GeminiSays(({"text": "It is"},), "MAX_TOKENS"), FinishReason.LENGTH),
    **{
        f"Gemini {word}": ("gemini", GeminiSays(({"text": "It is"},), word), FinishReason.CONTENT_FILTER)
        for word in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII")
    },
    **{
        f"Gemini {word}": ("gemini", GeminiSays(({"text": "It is"},), word), None)
        for word in ("MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "OTHER", "NO_SUCH_WORD")
    },
}


@pytest.mark.parametrize(("prefix", "reply", "reason"), NATIVE.values(), ids=NATIVE)
@pytest.mark.parametrize("is_streamed", [True, False], ids=["stream", "document"])
async def test_ending_on_the_providers_own_wire_is_known_or_aborts_the_answer(
    provider: ScriptedProvider,
    tmp_path: Path,
    model: str,
    prefix: str,
    reply: NativeReply,
    reason: FinishReason | None,
    is_streamed: bool,
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.root)
    provider.script(model, reply if is_streamed else Document(reply.document))
    asking = ask(language_model, replace(saying(model), functions=FUNCTIONS))

    if reason is None:
        with pytest.raises(AnswerAborted):
            await asking
    else:
        assert (await asking).reason is reason


CUT: dict[str, tuple[str, Reply]] = {
    "Gemini": ("gemini", Chunks(json.dumps({"candidates": [{"content": {"parts": [{"text": "It is"}]}}]}), done=False)),
    "Gemini's call": (
        "gemini",
        Chunks(json.dumps({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}]}}]}), done=False),
    ),
    "Claude": ("anthropic", ClaudeSays((SAID,), stop_reason=None)),
    "Claude's call": ("anthropic", ClaudeSays((CALL,), stop_reason=None)),
    "Bedrock": ("bedrock/converse", BedrockSays((TEXT,), stop_reason=None)),
    "Bedrock's call": ("bedrock/converse", BedrockSays((USE,), stop_reason=None)),
}


@pytest.mark.parametrize(("prefix", "reply"), CUT.values(), ids=CUT)
async def test_stream_that_ends_on_the_providers_own_wire_without_a_reason_is_an_unfinished_answer(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, reply: Reply
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.root)
    provider.script(model, reply)

    with pytest.raises(ModelStreamBroken):
        await ask(language_model, replace(saying(model), functions=FUNCTIONS))


CHARACTERS = "A stream ends with data: [DONE], and an answer may say so."
LIKE_OPENAI = ("databricks", "groq", "hosted_vllm", "openrouter", "xai")


@pytest.mark.parametrize("prefix", LIKE_OPENAI)
async def test_characters_of_the_end_are_text(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.url)
    chunks = chunk_of({"content": CHARACTERS}), chunk_of({}, "stop")
    provider.script(model, Chunks(*chunks), Whole({"content": CHARACTERS}))

    answers = [await ask(language_model, saying(model)) for _ in range(2)]

    assert [answer.text for answer in answers] == [CHARACTERS] * 2


@pytest.mark.parametrize("prefix", LIKE_OPENAI)
async def test_end_without_a_reason_completes_no_answer(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.url)
    provider.script(model, Chunks(chunk_of({"content": "It is"})))

    with pytest.raises(ModelStreamBroken):
        await ask(language_model, saying(model))


@pytest.mark.parametrize("prefix", LIKE_OPENAI)
async def test_line_that_is_not_json_breaks_the_answer(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.url)
    pieces = chunk_of({"content": "It is "}), '{"choices": [{"delta"', chunk_of({"content": "in Rome."}, "stop")
    provider.script(model, Chunks(*pieces))

    with pytest.raises(ModelStreamBroken):
        await ask(language_model, saying(model))


SEPARATED = "one\u2028two\u2029three\u0085four"
SEPARATORS: dict[str, tuple[str, list[Any]]] = {
    "OpenAI": ("openai", [chunk_of({"content": SEPARATED}), chunk_of({}, "stop")]),
    "like OpenAI": ("groq", [chunk_of({"content": SEPARATED}), chunk_of({}, "stop")]),
    "Gemini": ("gemini", GeminiSays(({"text": SEPARATED},)).documents),
    "Claude": (
        "anthropic",
        [
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": SEPARATED}},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        ],
    ),
}


@pytest.mark.parametrize(("prefix", "events"), SEPARATORS.values(), ids=SEPARATORS)
async def test_separators_in_texts_end_no_line(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, events: list[Any]
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.root)
    provider.script(model, Chunks(*(json.dumps(event, ensure_ascii=False) for event in events), done=False))

    assert (await ask(language_model, saying(model))).text == SEPARATED


async def test_lines_of_json_are_read_as_they_arrive(provider: ScriptedProvider, tmp_path: Path, model: str) -> None:
    language_model = opened(tmp_path, model, model=f"ollama_chat/{model}", api_base=provider.root)
    first, second, _ = OllamaSays("It is sunny.").lines(model)
    provider.script(model, Bytes((f"{first}\n".encode(), f"{second}\n".encode()), hangs=True))

    async with aclosing(language_model.stream(saying(model))) as deltas:
        assert await anext(deltas) == TextDelta("It is ")
