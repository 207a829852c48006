"""A model without function calling, over HTTP, through both adapters."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.errors import ModelStreamBroken
from infra.ports import LanguageModel
from models.language_model import (
    AssistantTurn,
    FinishReason,
    Function,
    FunctionCall,
    FunctionOutput,
    ModelRequest,
    TextDelta,
    TokenUsage,
)
from tests.infra.language_model.answers import ask, saying
from tests.infra.language_model.conftest import Adapter
from tests.provider.replies import BreaksOff, Chunks, Hangs, Says, chunk_of
from tests.provider.scripted_provider import ScriptedProvider

WEATHER = Function("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
CALL = FunctionCall("c1", "get_weather", '{"city": "Rome"}')


@pytest.fixture
def request_with_tools(model: str) -> ModelRequest:
    return replace(saying(model, "How is the weather in Rome?"), functions=(WEATHER,))


@pytest.fixture
def plain_model(adapter: Adapter, provider: ScriptedProvider, tmp_path: Path, model: str) -> LanguageModel:
    return adapter(ModelCatalogue.load(provider.models_file(tmp_path, provider.without_functions(model))))


async def test_prompt_offers_tools_and_action_becomes_call(
    plain_model: LanguageModel, provider: ScriptedProvider, model: str, request_with_tools: ModelRequest
) -> None:
    provider.script(model, Says('Thought: I look.\nAction: get_weather\nAction Input: {"city": "Rome"}'))

    answered = await ask(plain_model, request_with_tools)

    [sent] = provider.requests(model)
    assert "tools" not in sent
    assert sent["stop"] == ["\nObservation:"]
    assert "- get_weather: The weather." in sent["messages"][0]["content"]
    assert sent["messages"][1] == {"role": "user", "content": "How is the weather in Rome?"}
    assert answered.calls == [("get_weather", '{"city": "Rome"}')]
    assert answered.text == ""
    assert answered.reason is FinishReason.TOOL_CALLS
    assert answered.usage == TokenUsage(10, 5)


async def test_outputs_become_observations_and_answer_streams(
    plain_model: LanguageModel, provider: ScriptedProvider, model: str, request_with_tools: ModelRequest
) -> None:
    provider.script(model, Says("Thought: I know.\nFinal Answer: It is sunny."))
    history = (AssistantTurn(None, (CALL,)), FunctionOutput("c1", "sunny"))

    answered = await ask(plain_model, replace(request_with_tools, prompt=(*request_with_tools.prompt, *history)))

    assert provider.requests(model)[0]["messages"][2:] == [
        {"role": "assistant", "content": 'Action: get_weather\nAction Input: {"city": "Rome"}'},
        {"role": "user", "content": "Observation: sunny"},
    ]
    assert answered.deltas[:-1] == [TextDelta("It"), TextDelta(" is"), TextDelta(" sunny.")]
    assert answered.reason is FinishReason.STOP


async def test_made_up_observation_ends_call(
    plain_model: LanguageModel, provider: ScriptedProvider, model: str, request_with_tools: ModelRequest
) -> None:
    provider.script(model, Hangs('Action: get_weather\nAction Input: {"city": "Rome"}\nObservation: sunny'))

    answered = await ask(plain_model, request_with_tools)

    assert answered.calls == [("get_weather", '{"city": "Rome"}')]
    assert answered.usage.prompt_tokens > 50
    assert answered.usage.completion_tokens > 10
    await provider.disconnected(model)


async def test_request_without_functions_is_unchanged(
    plain_model: LanguageModel, provider: ScriptedProvider, model: str
) -> None:
    provider.script(model, Says("Thought: a word."))

    answered = await ask(plain_model, saying(model))

    assert provider.requests(model)[0]["messages"] == [{"role": "user", "content": "Hello"}]
    assert answered.text == "Thought: a word."


async def test_earlier_calls_are_in_prompt_without_tools(
    plain_model: LanguageModel, provider: ScriptedProvider, model: str, request_with_tools: ModelRequest
) -> None:
    provider.script(model, Says("It is sunny."))
    history = (AssistantTurn("I look.", (CALL,)), FunctionOutput("c1", "sunny"))
    prompt = (*request_with_tools.prompt, *history)

    answered = await ask(plain_model, replace(request_with_tools, prompt=prompt, tool_choice="none"))

    [sent] = provider.requests(model)
    assert sent.keys() == {"model", "messages", "stream", "stream_options"}
    assert [message["role"] for message in sent["messages"]] == ["user", "assistant", "user"]
    assert sent["messages"][1]["content"].startswith("Thought: I look.\nAction: get_weather")
    assert answered.text == "It is sunny."


async def test_interrupted_stream_is_no_answer(
    plain_model: LanguageModel, provider: ScriptedProvider, model: str, request_with_tools: ModelRequest
) -> None:
    provider.script(model, BreaksOff("Action: get_weather\nAction Input: {}"))

    with pytest.raises(ModelStreamBroken):
        await ask(plain_model, request_with_tools)


async def test_refusal_passes_through(
    plain_model: LanguageModel, provider: ScriptedProvider, model: str, request_with_tools: ModelRequest
) -> None:
    provider.script(model, Chunks(chunk_of({"refusal": "I can't help."}), chunk_of({}, "stop")))

    answered = await ask(plain_model, request_with_tools)

    assert (answered.text, answered.refusal, answered.reason) == ("", "I can't help.", FinishReason.STOP)
