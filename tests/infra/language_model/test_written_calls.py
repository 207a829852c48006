"""Calls that are written as JSON in the text of an answer, by both ways to providers."""

import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.language_model.own_servers import is_on_own_server
from infra.language_model.selection import LanguageModelByName
from infra.language_model.written_calls import WrittenCalls, written_calls
from infra.ports import LanguageModel
from models.language_model import CallDelta, Finish, FinishReason, Function, ModelDelta, TextDelta, TokenUsage
from tests.infra.language_model.answers import ask, saying
from tests.provider.replies import Reply, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import OllamaSays

WEATHER = Function("get_weather")
CALL = '{"name": "get_weather", "arguments": {"city": "Rome"}}'
ROME = ("get_weather", '{"city": "Rome"}')
BLANK = "\n" * 15_000
"""If each line end were tried as the fence's last, it would take seconds."""
NAMES = ("get_weather", "get_rain")
END = Finish(FinishReason.STOP, TokenUsage())


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (CALL, [ROME]),
        (f"\n {CALL}\n", [ROME]),
        (f"```json\n{CALL}\n```", [ROME]),
        ('{"name": "get_weather", "parameters": {"city": "Rome"}}', [ROME]),
        ('{"type": "function", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}', [ROME]),
        ('{"name": "get_weather", "arguments": "{\\"city\\": \\"Rome\\"}"}', [ROME]),
        (f'[{CALL}, {{"name": "get_rain", "arguments": {{}}}}]', [ROME, ("get_rain", "{}")]),
        (f"{CALL}; {CALL}\n{CALL}", [ROME] * 3),
        ('{"name": "get_snow", "arguments": {}}', []),
        (f'[{CALL}, {{"name": "get_snow", "arguments": {{}}}}]', []),
        (f"{CALL} is a call.", []),
        (f"A call: {CALL}", []),
        ('{"name": "get_weather"}', []),
        ('{"name": "get_weather", "arguments": 3}', []),
        ("[]", []),
        ("3", []),
        ("", []),
        ("[" * 100_000, []),
    ],
)
def test_calls_in_text_are_found(text: str, calls: list[tuple[str, str]]) -> None:
    assert written_calls(text, NAMES) == calls


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        (f"```json\n{CALL}{BLANK}{CALL}{BLANK}```", [ROME] * 2),
        (f"```{BLANK}{CALL}{BLANK}.```", []),
        (f"{BLANK}```{BLANK}", []),
    ],
    ids=["calls", "no call", "no end"],
)
def test_white_space_is_read_once(text: str, calls: list[tuple[str, str]]) -> None:
    before = time.process_time()

    assert written_calls(text, NAMES) == calls
    assert time.process_time() - before < 1


def read(text: str, functions: tuple[Function, ...] = (WEATHER,), size: int = 3, **options: Any) -> list[ModelDelta]:
    reader = WrittenCalls(replace(saying("m"), functions=functions, **options))
    pieces: list[ModelDelta] = [TextDelta(text[start : start + size]) for start in range(0, len(text), size)]
    return [each for delta in [*pieces, END] for each in reader.read(delta)]


@pytest.mark.parametrize("text", [CALL, f"```json\n{CALL}\n```", f"  [ {CALL} ]"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_written_call_becomes_call(text: str, size: int) -> None:
    assert read(text, size=size) == [CallDelta(0, *ROME), replace(END, reason=FinishReason.TOOL_CALLS)]


@pytest.mark.parametrize(
    "text", ["Hello.", '{"city": "Rome"}', "```python\nf()\n```", "`f`", "[1, 2]", '{"named": 1}', '{"name": "x"}', ""]
)
def test_other_text_is_unchanged(text: str) -> None:
    *pieces, end = read(text)

    assert "".join(piece.text for piece in pieces if isinstance(piece, TextDelta)) == text
    assert end == END


def test_only_text_that_begins_like_call_is_held_back() -> None:
    reader = WrittenCalls(replace(saying("m"), functions=(WEATHER,)))

    assert list(reader.read(TextDelta('{"'))) == []
    assert list(reader.read(TextDelta('city"'))) == [TextDelta('{"'), TextDelta('city"')]
    assert list(reader.read(TextDelta(CALL))) == [TextDelta(CALL)]


@pytest.mark.parametrize(
    "options",
    [{"functions": ()}, {"response_format": {"type": "json_object"}}, {"tool_choice": "none"}],
    ids=["no functions", "JSON asked for", "no calls wanted"],
)
def test_json_is_text_where_no_call_can_be_meant(options: dict[str, Any]) -> None:
    assert read(CALL, size=1000, **options) == [TextDelta(CALL), END]


def test_cut_off_call_remains_text() -> None:
    reader = WrittenCalls(replace(saying("m"), functions=(WEATHER,)))
    end = replace(END, reason=FinishReason.LENGTH)

    assert [*reader.read(TextDelta(CALL)), *reader.read(end)] == [TextDelta(CALL), end]


@pytest.mark.parametrize(
    ("litellm_params", "is_own"),
    [
        ({"model": "ollama/llama3.1"}, True),
        ({"model": "hosted_vllm/llama", "api_base": "http://own.test/v1"}, True),
        ({"model": "openai/llama", "api_base": "http://own.test/v1"}, True),
        ({"model": "openai/gpt-4o"}, False),
        ({"model": "openai/gpt-4o", "api_base": "https://eu.api.openai.com/v1"}, False),
        ({"model": "openai/gpt-4o", "api_base": "os.environ/NO_SUCH_URL"}, False),
        ({"model": "gpt-4o"}, False),
        ({"model": "anthropic/claude-sonnet-4-5"}, False),
    ],
)
def test_own_servers_are_told_by_prefix_and_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, litellm_params: dict[str, str], is_own: bool
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"model_list": [{"model_name": "a", "litellm_params": litellm_params}]}))

    assert is_on_own_server(ModelCatalogue.load(path), "a") is is_own


@dataclass(frozen=True)
class Ollama:
    language_model: LanguageModel
    says: Callable[[str], Reply]


@pytest.fixture(params=["litellm", "direct"])
async def ollama(
    request: pytest.FixtureRequest, provider: ScriptedProvider, tmp_path: Path, model: str
) -> AsyncIterator[Ollama]:
    """Ollama's `model`: by its own API with a parameter that only litellm sends, or called directly by `/v1`."""
    params: dict[str, Any] = {"model": f"ollama/{model}", "api_base": provider.root}
    if request.param == "litellm":
        params["num_ctx"] = 4096
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"model_list": [{"model_name": model, "litellm_params": params}]}))
    catalogue = ModelCatalogue.load(path)
    direct = ChatCompletionsLanguageModel(catalogue)
    assert await direct.serves(model) is (request.param == "direct")
    language_model = LanguageModelByName(catalogue, direct, LitellmLanguageModel(catalogue))
    yield Ollama(language_model, OllamaSays if request.param == "litellm" else Says)
    await direct.close()


async def test_call_that_ollama_leaves_in_text_is_call(ollama: Ollama, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, ollama.says(CALL))

    answered = await ask(ollama.language_model, replace(saying(model), functions=(WEATHER,)))

    assert (answered.text, answered.calls, answered.reason) == ("", [ROME], FinishReason.TOOL_CALLS)
    assert provider.requests(model)[0]["tools"][0]["function"]["name"] == "get_weather"


async def test_json_that_looks_like_call_is_text_without_functions(
    ollama: Ollama, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, ollama.says(CALL))

    answered = await ask(ollama.language_model, saying(model))

    assert (answered.text, answered.calls, answered.reason) == (CALL, [], FinishReason.STOP)
