"""Refuses features that Holdfast does not support yet, by field: no field is accepted and ignored."""

from collections.abc import Iterable

from models.assistants import CreateAssistantRequest, ModifyAssistantRequest
from models.errors import InvalidRequest
from models.runs import CreateRunRequest, CreateThreadAndRunRequest
from models.tools import (
    ChooseCodeInterpreter,
    CodeInterpreterTool,
    Tool,
    ToolChoice,
)


def check_assistant(body: CreateAssistantRequest | ModifyAssistantRequest) -> None:
    _check_tools(body.tools)


def check_run(body: CreateRunRequest | CreateThreadAndRunRequest) -> None:
    _check_tools(body.tools)
    _check_tool_choice(body.tool_choice)


def _check_tools(tools: Iterable[Tool] | None) -> None:
    for index, tool in enumerate(tools or ()):
        if isinstance(tool, CodeInterpreterTool):
            raise InvalidRequest.unsupported_tool(f"tools[{index}].type", tool.type)


def _check_tool_choice(choice: ToolChoice | None) -> None:
    if isinstance(choice, ChooseCodeInterpreter):
        raise InvalidRequest.unsupported_tool("tool_choice.type", choice.type)
