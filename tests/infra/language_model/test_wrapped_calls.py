"""`multi_tool_use.parallel`, as both adapters report it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from infra.language_model.catalogue import ModelCatalogue
from infra.language_model.chat_completions.language_model import ChatCompletionsLanguageModel
from infra.language_model.selection import LanguageModelByName
from infra.language_model.wrapped_calls import WrappedCalls
from infra.ports import LanguageModel
from models.language_model import CallDelta, Finish, FinishReason, Function, ModelDelta, TokenUsage
from models.tool_calls import MAX_CALLS
from tests.infra.language_model.answers import Answered, ask, saying
from tests.provider.replies import Calls
from tests.provider.scripted_provider import ScriptedProvider

PARALLEL = "multi_tool_use.parallel"
FUNCTIONS = (Function("get_weather"), Function("get_rain"))
FINISH = Finish(FinishReason.TOOL_CALLS, TokenUsage())
USES = [
    {"recipient_name": "functions.get_weather", "parameters": {"city": "Rome"}},
    {"recipient_name": "functions.get_rain", "parameters": {}},
]


def read(*deltas: ModelDelta, functions: tuple[Function, ...] = FUNCTIONS) -> Answered:
    calls = WrappedCalls(replace(saying("m"), functions=functions))
    return Answered([each for delta in (*deltas, FINISH) for each in calls.read(delta)])


async def test_wrapped_calls_are_unwrapped(
    language_model: LanguageModel, provider: ScriptedProvider, tmp_path: Path, model: str
) -> None:
    provider.script(model, Calls((PARALLEL, json.dumps({"tool_uses": USES})), ("get_rain", '{"a": 1}')))
    catalogue = ModelCatalogue.load(provider.models_file(tmp_path))
    # Whichever adapter is chosen is the one under test.
    direct = language_model if isinstance(language_model, ChatCompletionsLanguageModel) else None
    selection = LanguageModelByName(catalogue, direct or _Refusing(catalogue), language_model)

    answered = await ask(selection, replace(saying(model), functions=FUNCTIONS))

    assert answered.calls == [
        ("get_rain", '{"a": 1}'),
        ("functions.get_weather", '{"city": "Rome"}'),
        ("functions.get_rain", "{}"),
    ]
    assert answered.reason is FinishReason.TOOL_CALLS


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "{",
        "[]",
        "3",
        '{"tool_uses": []}',
        '{"tool_uses": 3}',
        '{"tool_uses": [{}]}',
        '{"tool_uses": ["x"]}',
        '{"tool_uses": [{"recipient_name": 3}]}',
        pytest.param("[" * 100_000, id="too deep"),
    ],
)
def test_wrapper_of_another_form_remains_one_call(arguments: str) -> None:
    answered = read(
        CallDelta(0, PARALLEL), CallDelta(0, arguments=arguments[:1]), CallDelta(0, arguments=arguments[1:])
    )

    assert answered.calls == [(PARALLEL, arguments)]


def test_function_of_that_name_is_called_as_it_is() -> None:
    answered = read(CallDelta(0, "parallel", '{"tool_uses": []}'), functions=(Function("parallel"),))

    assert answered.calls == [("parallel", '{"tool_uses": []}')]


def test_one_wrapped_call_too_many_is_reported_and_no_more() -> None:
    assert len(read(CallDelta(0, PARALLEL, json.dumps({"tool_uses": USES * MAX_CALLS}))).calls) == MAX_CALLS + 1


class _Refusing(ChatCompletionsLanguageModel):
    """Leaves every model to litellm."""

    async def serves(self, model: str) -> bool:
        return False
