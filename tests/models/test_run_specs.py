from typing import Any

import pytest

from models.assistants import Assistant
from models.run_specs import RunSpec
from models.runs import CreateRunRequest, CreateThreadAndRunRequest
from models.thread_errors import UnusableToolChoice
from models.tools import FunctionDefinition, FunctionTool, ToolResources

TOOL = FunctionTool(type="function", function=FunctionDefinition(name="add"))


def assistant(**fields: Any) -> Assistant:
    defaults = {
        "id": "asst_x",
        "created_at": 1,
        "name": None,
        "description": None,
        "model": "gpt-4o",
        "instructions": "Be kind.",
        "tools": [TOOL],
        "top_p": 0.5,
        "temperature": 0.25,
        "reasoning_effort": "low",
        "tool_resources": ToolResources(),
        "metadata": {"of": "assistant"},
        "response_format": "auto",
    }
    return Assistant.model_validate(defaults | fields)


def spec_of(**body: Any) -> RunSpec:
    return RunSpec.of(assistant(), CreateRunRequest(assistant_id="asst_x", **body), 600)


def test_omitted_fields_are_inherited_from_assistant() -> None:
    spec = spec_of()

    assert (spec.model, spec.instructions, spec.tools) == ("gpt-4o", "Be kind.", [TOOL])
    assert (spec.temperature, spec.top_p, spec.reasoning_effort) == (0.25, 0.5, "low")
    assert spec.expires_after_seconds == 600


SEARCH = {"file_search": {"vector_store_ids": ["vs_a"]}}
CODE = {"code_interpreter": {"file_ids": ["file-a"]}}
OTHER_SEARCH = {"file_search": {"vector_store_ids": ["vs_b"]}}
NO_SEARCH: dict[str, Any] = {"file_search": {"vector_store_ids": []}}


@pytest.mark.parametrize(
    ("given", "resources"),
    [
        (None, {**SEARCH, **CODE}),
        ({}, {**SEARCH, **CODE}),
        (OTHER_SEARCH, {**OTHER_SEARCH, **CODE}),
        (NO_SEARCH, {**NO_SEARCH, **CODE}),
    ],
)
def test_tool_resources_replace_the_assistants_tool_by_tool(given: Any, resources: dict[str, Any]) -> None:
    body = CreateRunRequest(assistant_id="asst_x", tool_resources=given)

    spec = RunSpec.of(assistant(tool_resources={**SEARCH, **CODE}), body, 600)

    assert spec.tool_resources.model_dump() == resources


def test_metadata_is_not_inherited() -> None:
    assert spec_of().metadata == {}
    assert spec_of(metadata={"of": "run"}).metadata == {"of": "run"}


def test_zero_and_empty_values_override_assistant() -> None:
    spec = spec_of(temperature=0, top_p=0, tools=[], instructions="", parallel_tool_calls=False)

    assert (spec.temperature, spec.top_p, spec.tools, spec.instructions) == (0, 0, [], "")
    assert spec.parallel_tool_calls is False


@pytest.mark.parametrize(
    ("instructions", "additional", "expected"),
    [
        (None, "And brief.", "Be kind. And brief."),
        ("Be bold.", "And brief.", "Be bold. And brief."),
        ("", "And brief.", "And brief."),
        ("Be bold.", "", "Be bold."),
    ],
)
def test_additional_instructions_are_appended(instructions: str | None, additional: str, expected: str) -> None:
    assert spec_of(instructions=instructions, additional_instructions=additional).instructions == expected


def test_create_thread_and_run_has_no_additional_instructions() -> None:
    body = CreateThreadAndRunRequest(assistant_id="asst_x", instructions="Be bold.")

    assert RunSpec.of(assistant(), body, 600).instructions == "Be bold."


def test_expiry_of_request_overrides_server_default() -> None:
    assert spec_of(expires_after={"seconds": 7}).expires_after_seconds == 7


@pytest.mark.parametrize("choice", ["none", "auto", "required", {"type": "function", "function": {"name": "add"}}])
def test_tool_choice_accepts_assistants_tool(choice: Any) -> None:
    assert spec_of(tool_choice=choice).model_dump()["tool_choice"] == choice


@pytest.mark.parametrize("choice", ["none", "auto", None])
def test_optional_tool_choice_needs_no_tools(choice: Any) -> None:
    assert spec_of(tools=[], tool_choice=choice).tool_choice == (choice or "auto")


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "add"}}])
def test_required_tool_choice_is_rejected_without_tools(choice: Any) -> None:
    with pytest.raises(UnusableToolChoice, match="only allowed when 'tools' are specified"):
        spec_of(tools=[], tool_choice=choice)


def test_tool_choice_is_validated_against_runs_own_tools() -> None:
    subtract = {"type": "function", "function": {"name": "subtract"}}

    assert spec_of(tools=[subtract], tool_choice=subtract).tools != [TOOL]
    with pytest.raises(UnusableToolChoice, match="no function named add"):
        spec_of(tools=[subtract], tool_choice={"type": "function", "function": {"name": "add"}})
