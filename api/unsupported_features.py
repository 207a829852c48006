"""Refuses features that Holdfast does not support yet, by field: no field is accepted and ignored."""

from collections.abc import Iterable

from models.assistants import CreateAssistantRequest, ModifyAssistantRequest
from models.errors import InvalidRequest
from models.messages import CreateMessageRequest, ImageFileContent
from models.runs import CreateRunRequest, CreateThreadAndRunRequest
from models.threads import CreateThreadRequest, ModifyThreadRequest
from models.tools import CreateToolResources, FunctionTool, Tool, ToolChoice, ToolResources


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
        if not isinstance(tool, FunctionTool):
            raise InvalidRequest.unsupported_tool(f"tools[{index}].type", tool.type)


def _check_tool_choice(choice: ToolChoice | None) -> None:
    if choice is not None and not isinstance(choice, str) and choice.type != "function":
        raise InvalidRequest.unsupported_tool("tool_choice.type", choice.type)


def _check_resources(resources: ToolResources | CreateToolResources | None, path: str) -> None:
    for name in ("code_interpreter", "file_search"):
        named = getattr(resources, name, None)
        if named is not None and any(named.model_dump().values()):
            raise InvalidRequest.unsupported_files(f"{path}.{name}")
