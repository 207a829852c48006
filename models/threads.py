"""Threads: the wire object and the bodies that create and modify one."""

from typing import Literal

from models.messages import CreateMessageRequest
from models.tools import CreateToolResources, ToolResources
from models.wire import IdentifiedObject, Metadata, RequestBody


class Thread(IdentifiedObject):
    object: Literal["thread"] = "thread"
    created_at: int
    tool_resources: ToolResources
    metadata: dict[str, str]


class CreateThreadRequest(RequestBody):
    messages: list[CreateMessageRequest] | None = None
    tool_resources: CreateToolResources | None = None
    metadata: Metadata | None = None


class ModifyThreadRequest(RequestBody):
    tool_resources: ToolResources | None = None
    metadata: Metadata | None = None
