"""Refuses features that Holdfast does not support yet, by field: no field is accepted and ignored."""

from collections.abc import Iterable

from models.assistants import CreateAssistantRequest, ModifyAssistantRequest
from models.errors import InvalidRequest
from models.messages import CreateMessageRequest, ImageFileContent
from models.runs import CreateRunRequest, CreateThreadAndRunRequest
from models.threads import CreateThreadRequest, ModifyThreadRequest
from models.tools import (
    ChooseCodeInterpreter,
    CodeInterpreterTool,
    CreateToolResources,
    Tool,
    ToolChoice,
    ToolResources,
)


def check_assistant(body: CreateAssistantRequest | ModifyAssistantRequest) -> None:
    _check_tools(body.tools)
    _check_resources(body.tool_resources, "tool_resources")


def check_thread(body: CreateThreadRequest | ModifyThreadRequest, path: str = "") -> None:
    _check_resources(body.tool_resources, f"{path}tool_resources")
    if isinstance(body, CreateThreadRequest):
        _check_messages(body.messages, f"{path}messages")


def check_message(body: CreateMessageRequest, path: str = "") -> None:
    if body.attachments:
        raise InvalidRequest.unsupported_files(f"{path}attachments")
    parts = [] if isinstance(body.content, str) else body.content
    for index, part in enumerate(parts):
        if isinstance(part, ImageFileContent):
            raise InvalidRequest.unsupported_files(f"{path}content[{index}].image_file", ": use 'image_url'")


def check_run(body: CreateRunRequest | CreateThreadAndRunRequest) -> None:
    _check_tools(body.tools)
    _check_tool_choice(body.tool_choice)
    match body:
        case CreateRunRequest():
            _check_messages(body.additional_messages, "additional_messages")
        case CreateThreadAndRunRequest():
            _check_resources(body.tool_resources, "tool_resources")
            if body.thread is not None:
                check_thread(body.thread, "thread.")


def _check_messages(bodies: Iterable[CreateMessageRequest] | None, path: str) -> None:
    for index, body in enumerate(bodies or ()):
        check_message(body, f"{path}[{index}].")


def _check_tools(tools: Iterable[Tool] | None) -> None:
    for index, tool in enumerate(tools or ()):
        if isinstance(tool, CodeInterpreterTool):
            raise InvalidRequest.unsupported_tool(f"tools[{index}].type", tool.type)


def _check_tool_choice(choice: ToolChoice | None) -> None:
    if isinstance(choice, ChooseCodeInterpreter):
        raise InvalidRequest.unsupported_tool("tool_choice.type", choice.type)


def _check_resources(resources: ToolResources | CreateToolResources | None, path: str) -> None:
    interpreter = resources.code_interpreter if resources else None
    if interpreter is not None and interpreter.file_ids:
        raise InvalidRequest.unsupported_files(f"{path}.code_interpreter")
