from dataclasses import replace

import pytest

from infra.language_model.react.prompt import as_text, needs_react
from models.language_model import (
    AssistantTurn,
    Function,
    FunctionCall,
    FunctionOutput,
    ModelRequest,
    SystemPrompt,
    TextPart,
    UserTurn,
)

ASKED = UserTurn((TextPart("How is it?"),))
WEATHER = Function("get_weather", "The weather.", {"type": "object", "properties": {"city": {"type": "string"}}})
REQUEST = ModelRequest("m", (ASKED,), functions=(WEATHER, Function("get_time")))


def rules(request: ModelRequest) -> str:
    first = as_text(request).prompt[0]
    assert isinstance(first, SystemPrompt)
    return first.text


def test_tools_are_described_with_their_schemas() -> None:
    text = rules(REQUEST)

    assert "- get_weather: The weather.\n  JSON Schema of its input: " in text
    assert '{"type": "object", "properties": {"city": {"type": "string"}}}' in text
    assert "one of: get_weather, get_time" in text
    assert as_text(REQUEST).functions == ()


def test_rules_follow_instructions_in_one_system_prompt() -> None:
    request = as_text(replace(REQUEST, prompt=(SystemPrompt("Be brief.", "boss"), ASKED)))

    [first, second] = request.prompt
    assert isinstance(first, SystemPrompt)
    assert first.text.startswith("Be brief.\n\nYou have these tools:")
    assert first.name == "boss"
    assert second == ASKED


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"tool_choice": "required"}, "You must use a tool now"),
        ({"tool_choice": ("function", "get_time")}, "You must use the tool get_time now"),
        ({"parallel_tool_calls": False}, "Use one tool at a time."),
        ({"parallel_tool_calls": True}, "To use several tools at once"),
        ({"response_format": {"type": "json_object"}}, "must be one JSON object"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "array"}}}},
            'fits this schema, and nothing else: {"type": "array"}',
        ),
    ],
)
def test_request_options_become_rules(change: dict[str, object], rule: str) -> None:
    request = replace(REQUEST, **change)  # type: ignore[arg-type]

    assert rule in rules(request)
    assert rule not in rules(REQUEST) or change == {"parallel_tool_calls": True}
    assert as_text(request).response_format is None


def test_calls_and_outputs_use_format_of_rules() -> None:
    calls = (FunctionCall("c1", "get_weather", '{"city": "Rome"}'), FunctionCall("c2", "get_time", ""))
    prompt = (
        ASKED,
        AssistantTurn("Both.", calls, name="ada"),
        FunctionOutput("c1", "sunny"),
        FunctionOutput("c2", "noon"),
    )

    [_, told, observed] = as_text(replace(REQUEST, prompt=prompt, tool_choice="none")).prompt

    actions = 'Action: get_weather\nAction Input: {"city": "Rome"}\nAction: get_time\nAction Input: {}'
    assert told == AssistantTurn(f"Thought: Both.\n{actions}", name="ada")
    assert observed == UserTurn((TextPart("Observation of get_weather: sunny\nObservation of get_time: noon"),))


def test_requests_without_functions_are_unchanged() -> None:
    assert needs_react(REQUEST)
    assert needs_react(ModelRequest("m", (ASKED, AssistantTurn(None), FunctionOutput("c", "x"))))
    assert not needs_react(ModelRequest("m", (ASKED, AssistantTurn("Hi."))))
