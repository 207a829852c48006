"""Answers on wires that only litellm reads, and those that it reads with code of the provider's own."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import AnswerAborted, ModelCallFailed, ModelStreamBroken
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import FinishReason, Function, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.provider.bedrock import BedrockSays
from tests.provider.replies import Chunks, Reply, Whole, WholeError
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, GeminiSays

FUNCTIONS = (Function("f"), Function("g"))


def opened(folder: Path, name: str, **params: Any) -> LitellmLanguageModel:
    path = folder / "models.yaml"
    entry = {"model_name": name, "litellm_params": {"api_key": "k", **params}}
    path.write_text(yaml.safe_dump({"model_list": [entry]}))
    return LitellmLanguageModel(ModelCatalogue.load(path))


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


async def test_whole_error_in_place_of_stream_is_failure(
    provider: ScriptedProvider, tmp_path: Path, model: str
) -> None:
    language_model = opened(tmp_path, model, model=f"openai/{model}", api_base=provider.url)
    provider.script(model, WholeError("The model is loading."))

    with pytest.raises(ModelCallFailed, match="The model is loading"):
        await ask(language_model, saying(model))


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
NATIVE: dict[str, tuple[str, Reply, FinishReason | None]] = {
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
async def test_ending_on_the_providers_own_wire_is_known_or_aborts_the_answer(
    provider: ScriptedProvider, tmp_path: Path, model: str, prefix: str, reply: Reply, reason: FinishReason | None
) -> None:
    language_model = opened(tmp_path, model, model=f"{prefix}/{model}", api_base=provider.root)
    provider.script(model, reply)
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
