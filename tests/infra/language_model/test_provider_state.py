"""What providers want back with a turn's calls, on their wires: kept with the answer, and sent in the next turn."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.litellm_model import LitellmLanguageModel
from infra.ports import LanguageModel
from models.language_model import AssistantTurn, Function, FunctionCall, FunctionOutput, ModelRequest
from models.provider_state import ProviderState
from tests.infra.language_model.answers import Answered, ask, saying
from tests.provider.bedrock import BedrockSays
from tests.provider.replies import Chunks, Reply, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider
from tests.provider.wires import ClaudeSays, GeminiSays

# Half of the tests load litellm: one process of pytest-xdist does.
pytestmark = pytest.mark.xdist_group("litellm")

WEATHER = Function("get_weather")
SIGNATURE = "c2lnbmF0dXJl"
THOUGHT = "I need the weather."
Open = Callable[[str, str], LanguageModel]


@pytest.fixture
async def open_direct(provider: ScriptedProvider, tmp_path: Path, model: str) -> AsyncIterator[Open]:
    opened: list[ChatCompletionsLanguageModel] = []

    def open_model(prefix: str, url: str) -> LanguageModel:
        opened.append(ChatCompletionsLanguageModel(catalogue(tmp_path, model, prefix, url)))
        return opened[-1]

    yield open_model
    for each in opened:
        await each.close()


@pytest.fixture
def open_litellm(tmp_path: Path, model: str) -> Open:
    return lambda prefix, url: LitellmLanguageModel(catalogue(tmp_path, model, prefix, url))


def catalogue(folder: Path, model: str, prefix: str, *urls: str, **sections: Any) -> ModelCatalogue:
    path = folder / "models.yaml"
    params = [{"model": f"{prefix}/{model}", "api_base": url, "api_key": "k"} for url in urls]
    entries = [{"model_name": model, "litellm_params": each} for each in params]
    path.write_text(yaml.safe_dump({"model_list": entries, **sections}))
    return ModelCatalogue.load(path)


def asking(model: str) -> ModelRequest:
    return replace(saying(model), functions=(WEATHER, Function("get_rain")))


def continued(request: ModelRequest, answered: Answered, state: ProviderState | None) -> ModelRequest:
    calls = [FunctionCall(f"c{index}", *call) for index, call in enumerate(answered.calls)]
    outputs = [FunctionOutput(call.id, "sunny") for call in calls]
    turn = AssistantTurn(answered.text or None, tuple(calls), state)
    return replace(request, prompt=(*request.prompt, turn, *outputs))


async def sent_back(
    language_model: LanguageModel, provider: ScriptedProvider, model: str, *replies: Reply
) -> Mapping[str, Any]:
    """The second request of a run whose first turn calls a function."""
    provider.script(model, *replies)
    answered = await ask(language_model, asking(model))
    await ask(language_model, continued(asking(model), answered, answered.finish.state))
    return provider.requests(model)[1]


def reasoning(*deltas: Mapping[str, Any]) -> Chunks:
    call = {"index": 0, "id": "x", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    return Chunks(*map(chunk_of, deltas), chunk_of({"tool_calls": [call]}), chunk_of({}, "tool_calls"))


REASONED: Mapping[str, list[dict[str, Any]]] = {
    "reasoning_content": [{"reasoning_content": THOUGHT[:7]}, {"reasoning_content": THOUGHT[7:]}],
    "reasoning": [{"reasoning": THOUGHT[:7]}, {"reasoning": THOUGHT[7:]}],
    "reasoning_details": [
        {"reasoning_details": [{"type": "reasoning.text", "text": THOUGHT[:7], "index": 0}]},
        {"reasoning_details": [{"type": "reasoning.text", "text": THOUGHT[7:], "index": 0, "signature": SIGNATURE}]},
    ],
}
DETAIL = {"type": "reasoning.text", "text": THOUGHT, "index": 0, "signature": SIGNATURE}


@pytest.mark.parametrize(
    ("field", "wanted"),
    [("reasoning_content", THOUGHT), ("reasoning", THOUGHT), ("reasoning_details", [DETAIL])],
    ids=["DeepSeek, Kimi, vLLM", "vLLM, Groq", "OpenRouter"],
)
async def test_reasoning_is_sent_back_with_calls(
    open_direct: Open, provider: ScriptedProvider, model: str, field: str, wanted: Any
) -> None:
    language_model = open_direct("openai", provider.url)

    body = await sent_back(language_model, provider, model, reasoning(*REASONED[field]), Says("Sunny."))

    message = body["messages"][1]
    assert (message["role"], message[field]) == ("assistant", wanted)
    assert message["tool_calls"][0]["function"]["name"] == "get_weather"


@pytest.mark.parametrize("prefix", ["openai", "deepseek", "moonshot", "hosted_vllm"])
async def test_reasoning_is_sent_back_through_litellm(
    open_litellm: Open, provider: ScriptedProvider, model: str, prefix: str
) -> None:
    language_model = open_litellm(prefix, provider.url)
    answer = reasoning(*REASONED["reasoning_content"])

    body = await sent_back(language_model, provider, model, answer, Says("Sunny."))

    assert body["messages"][1]["reasoning_content"] == THOUGHT


async def test_geminis_signatures_are_sent_back_with_their_calls(
    open_direct: Open, provider: ScriptedProvider, model: str
) -> None:
    names = ("get_weather", "get_rain")
    calls = [
        {"index": 0, "id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in names
    ]
    signed = {"extra_content": {"google": {"thought_signature": SIGNATURE}}}
    answer = Chunks(chunk_of({"tool_calls": [calls[0] | signed]}), chunk_of({"tool_calls": [calls[1]]}, "tool_calls"))

    body = await sent_back(open_direct("openai", provider.url), provider, model, answer, Says("Sunny."))

    first, second = body["messages"][1]["tool_calls"]
    assert first["extra_content"] == signed["extra_content"]
    assert "extra_content" not in second


async def test_claudes_thinking_is_sent_back_with_its_signature(
    open_litellm: Open, provider: ScriptedProvider, model: str
) -> None:
    thinking = {"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}
    redacted = {"type": "redacted_thinking", "data": "hidden"}
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}
    answer = ClaudeSays((thinking, redacted, {"type": "text", "text": "I will look."}, call), "tool_use")
    end = ClaudeSays(({"type": "text", "text": "Sunny."},))

    body = await sent_back(open_litellm("anthropic", provider.root), provider, model, answer, end)

    content = body["messages"][1]["content"]
    assert [block["type"] for block in content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert content[:2] == [thinking, redacted]
    assert content[3]["input"] == {"city": "Rome"}


async def test_thinking_of_claude_at_bedrock_is_sent_back_with_its_signature(
    provider: ScriptedProvider, tmp_path: Path, model: str
) -> None:
    claude = f"anthropic.claude-{model}"
    language_model = LitellmLanguageModel(catalogue(tmp_path, claude, "bedrock/converse", provider.root))
    thinking = {"reasoningContent": {"text": THOUGHT, "signature": SIGNATURE}}
    call = {"toolUse": {"toolUseId": "tooluse_1", "name": "get_weather", "input": {"city": "Rome"}}}
    answer = BedrockSays((thinking, {"text": "I will look."}, call), "tool_use")

    body = await sent_back(language_model, provider, claude, answer, BedrockSays(({"text": "Sunny."},)))

    first, *_, last = body["messages"][1]["content"]
    assert first == {"reasoningContent": {"reasoningText": {"text": THOUGHT, "signature": SIGNATURE}}}
    assert last["toolUse"]["input"] == {"city": "Rome"}


async def test_geminis_own_signatures_are_sent_back_through_litellm(
    open_litellm: Open, provider: ScriptedProvider, model: str
) -> None:
    calls: list[dict[str, Any]] = [{"functionCall": {"name": name, "args": {}}} for name in ("get_weather", "get_rain")]
    answer = GeminiSays(({"text": THOUGHT, "thought": True}, calls[0] | {"thoughtSignature": SIGNATURE}, calls[1]))
    end = GeminiSays(({"text": "Sunny."},))

    body = await sent_back(open_litellm("gemini", provider.root), provider, model, answer, end)

    parts = [part for part in body["contents"][1]["parts"] if "function_call" in part or "functionCall" in part]
    assert [part.get("thoughtSignature") for part in parts] == [SIGNATURE, None]


async def test_other_provider_does_not_get_state(open_direct: Open, provider: ScriptedProvider, model: str) -> None:
    language_model = open_direct("openai", provider.url)
    provider.script(model, reasoning(*REASONED["reasoning_content"]), Says("Sunny."))
    answered = await ask(language_model, asking(model))
    state = answered.finish.state

    assert state is not None
    await ask(language_model, continued(asking(model), answered, replace(state, provider="deepseek")))

    assert "reasoning_content" not in provider.requests(model)[1]["messages"][1]


async def test_same_prefix_at_another_host_does_not_get_state(
    open_direct: Open, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, reasoning(*REASONED["reasoning_content"]), Says("Sunny."))
    answered = await ask(open_direct("openai", provider.url), asking(model))
    elsewhere = open_direct("openai", provider.url.replace("127.0.0.1", "localhost"))

    assert answered.finish.state is not None
    await ask(elsewhere, continued(asking(model), answered, answered.finish.state))

    assert "reasoning_content" not in provider.requests(model)[1]["messages"][1]


async def test_litellms_fallback_does_not_get_state(provider: ScriptedProvider, tmp_path: Path, model: str) -> None:
    fallbacks = {"fallbacks": [{model: [model]}]}
    language_model = LitellmLanguageModel(catalogue(tmp_path, model, "openai", provider.url, router_settings=fallbacks))

    body = await sent_back(language_model, provider, model, reasoning(*REASONED["reasoning_content"]), Says("Sunny."))

    assert "reasoning_content" not in body["messages"][1]
    language_model.close()


async def test_litellms_deployment_at_another_host_does_not_get_state(
    provider: ScriptedProvider, tmp_path: Path, model: str
) -> None:
    urls = (provider.url, provider.url.replace("127.0.0.1", "localhost"))
    language_model = LitellmLanguageModel(catalogue(tmp_path, model, "openai", *urls))

    body = await sent_back(language_model, provider, model, reasoning(*REASONED["reasoning_content"]), Says("Sunny."))

    assert "reasoning_content" not in body["messages"][1]
    language_model.close()


async def test_answer_without_calls_has_no_state(open_direct: Open, provider: ScriptedProvider, model: str) -> None:
    provider.script(model, Chunks(chunk_of({"reasoning_content": "Hm."}), chunk_of({"content": "Hi"}, "stop")))

    answered = await ask(open_direct("openai", provider.url), asking(model))

    assert (answered.text, answered.finish.state) == ("Hi", None)
