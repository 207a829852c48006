"""Answers on wires that only litellm reads, and those that it reads with code of the provider's own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import ModelCallFailed
from infra.language_model.litellm_model import LitellmLanguageModel
from models.language_model import FinishReason, Function, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Whole, WholeError
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import GeminiSays

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
