import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from infra.language_model.scripted import SCRIPTED_MODEL, ScriptedLanguageModel
from models.language_model import (
    AssistantTurn,
    CallDelta,
    FinishReason,
    Function,
    FunctionCall,
    FunctionOutput,
    ImagePart,
    ModelRequest,
    PromptItem,
    SystemPrompt,
    TextDelta,
    TextPart,
    TokenUsage,
    UserTurn,
)
from tests.infra.language_model.answers import Answered, ask, saying

WEATHER = Function(
    "get_weather",
    parameters={
        "type": "object",
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    },
)
RAIN = Function("get_rain", parameters={"type": "object", "properties": {"days": {"type": "integer", "minimum": 1}}})
CALLED_WEATHER = ("get_weather", '{"city": "city", "unit": "celsius"}')
CALLED_RAIN = ("get_rain", '{"days": 1}')
ASKED = saying(SCRIPTED_MODEL, "How is it?")
WITH_TOOLS = replace(ASKED, functions=(WEATHER, RAIN))
CALLED = AssistantTurn(None, (FunctionCall("c1", "get_weather", "{}"), FunctionCall("c2", "get_rain", "{}")))


async def answer(request: ModelRequest) -> Answered:
    return await ask(ScriptedLanguageModel(), request)


def after(*items: PromptItem) -> ModelRequest:
    return replace(WITH_TOOLS, prompt=(*WITH_TOOLS.prompt, *items))


async def test_last_user_message_is_quoted_word_by_word() -> None:
    answered = await answer(saying(SCRIPTED_MODEL, "Hello  big world"))

    assert answered.deltas[:-1] == [TextDelta(word) for word in ["You", " said:", " Hello", "  big", " world"]]
    assert answered.reason is FinishReason.STOP
    assert answered.usage == TokenUsage(prompt_tokens=3, completion_tokens=5)


async def test_answers_are_deterministic() -> None:
    assert await answer(WITH_TOOLS) == await answer(WITH_TOOLS)


async def test_every_offered_function_is_called() -> None:
    answered = await answer(WITH_TOOLS)

    assert answered.calls == [CALLED_WEATHER, CALLED_RAIN]
    assert answered.text == ""
    assert answered.reason is FinishReason.TOOL_CALLS
    assert CallDelta(0, name="get_weather") in answered.deltas


@pytest.mark.parametrize(
    ("changes", "calls"),
    [
        ({"parallel_tool_calls": False}, [CALLED_WEATHER]),
        ({"tool_choice": ("function", "get_rain")}, [CALLED_RAIN]),
        ({"tool_choice": "required"}, [CALLED_WEATHER, CALLED_RAIN]),
        ({"tool_choice": "none"}, []),
        ({"tool_choice": ("function", "unknown")}, []),
        ({"functions": ()}, []),
    ],
)
async def test_tool_choice_is_honoured(changes: dict[str, Any], calls: list[tuple[str, str]]) -> None:
    answered = await answer(replace(WITH_TOOLS, **changes))

    assert answered.calls == calls
    assert bool(answered.text) is not bool(calls)


async def test_tool_outputs_are_quoted() -> None:
    answered = await answer(after(CALLED, FunctionOutput("c1", "sunny"), FunctionOutput("c2", "none")))

    assert answered.text == "get_weather returned: sunny get_rain returned: none"
    assert answered.reason is FinishReason.STOP


async def test_functions_are_called_again_after_next_user_message() -> None:
    answered = await answer(after(CALLED, FunctionOutput("c1", "x"), FunctionOutput("c2", "y"), *ASKED.prompt))

    assert answered.calls == [CALLED_WEATHER, CALLED_RAIN]


async def test_images_are_mentioned() -> None:
    turn = UserTurn((TextPart("Look!"), ImagePart("https://x.test/1"), ImagePart("https://x.test/2")))

    assert (await answer(replace(ASKED, prompt=(turn,)))).text == "You said: Look! I see 2 images."
    assert (await answer(replace(ASKED, prompt=(UserTurn((ImagePart("data:x"),)),)))).text.endswith("I see 1 image.")


@pytest.mark.parametrize("prompt", [(), (SystemPrompt("Be brief."),), (UserTurn((TextPart(" "),)),)])
async def test_empty_thread_is_answered(prompt: tuple[PromptItem, ...]) -> None:
    assert (await answer(replace(ASKED, prompt=prompt))).text == "You said nothing."


async def test_json_response_format_is_honoured() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    of_schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}

    free = await answer(replace(ASKED, response_format={"type": "json_object"}))
    fitting = await answer(replace(ASKED, response_format=of_schema))

    assert json.loads(free.text) == {"answer": "You said: How is it?"}
    assert json.loads(fitting.text) == {"city": "city", "days": 0}


async def test_token_limit_is_honoured() -> None:
    cut = await answer(replace(ASKED, max_tokens=3))
    uncut = await answer(replace(ASKED, max_tokens=5))
    cut_call = await answer(replace(WITH_TOOLS, max_tokens=2))

    assert (cut.text, cut.reason, cut.usage.completion_tokens) == ("You said: How", FinishReason.LENGTH, 3)
    assert uncut.reason is FinishReason.STOP
    assert (cut_call.calls, cut_call.reason) == ([("get_weather", '{"city":')], FinishReason.LENGTH)


async def test_long_text_is_quoted_in_part() -> None:
    assert len((await answer(saying(SCRIPTED_MODEL, "word " * 10_000))).text) < 1_100


async def test_endless_schema_does_not_block_event_loop() -> None:
    endless = {"type": "array", "minItems": 300_000}
    request = replace(ASKED, functions=tuple(Function(f"f{number}", parameters=endless) for number in range(128)))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    answered = await answer(request)
    other.cancel()

    assert len(answered.calls) == 128
    assert turns > 20


async def test_invalid_schema_is_answered() -> None:
    nonsense = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "string", "minLength": "x"}}}

    assert (await answer(replace(ASKED, response_format=nonsense))).text == '"text"'
