"""Refuses what Holdfast does not support yet, and what could have no effect: no field is accepted and ignored."""

from collections.abc import Iterable

from models.assistants import CreateAssistantRequest, ModifyAssistantRequest
from models.errors import InvalidRequest
from models.runs import CreateRunRequest, CreateThreadAndRunRequest
from models.tools import (
    ChooseCodeInterpreter,
    CodeInterpreterTool,
    FileSearchTool,
    Tool,
    ToolChoice,
)

SEARCHES_DIFFER = "The tool 'file_search' is given twice with different settings, and only one of them could apply."


def check_assistant(body: CreateAssistantRequest | ModifyAssistantRequest) -> None:
    _check_tools(body.tools)


def check_run(body: CreateRunRequest | CreateThreadAndRunRequest) -> None:
    _check_tools(body.tools)
    _check_tool_choice(body.tool_choice)


def _check_tools(tools: Iterable[Tool] | None) -> None:
    search: FileSearchTool | None = None
    for index, tool in enumerate(tools or ()):
        match tool:
            case CodeInterpreterTool():
                raise InvalidRequest.unsupported_tool(f"tools[{index}].type", tool.type)
            case FileSearchTool() if search not in (None, tool):
                raise InvalidRequest(SEARCHES_DIFFER, f"tools[{index}]", "invalid_value")
            case FileSearchTool():
                search = tool


def _check_tool_choice(choice: ToolChoice | None) -> None:
    if isinstance(choice, ChooseCodeInterpreter):
        raise InvalidRequest.unsupported_tool("tool_choice.type", choice.type)
