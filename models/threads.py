"""Threads: the wire object and the bodies that create and modify one."""

from typing import Literal

from pydantic import Field

from models.messages import NewMessages, OnActiveRun
from models.metadata import ChangesMetadata
from models.tools import CreateToolResources, ToolResources
from models.wire import IdentifiedObject, Metadata, RequestBody, absent

MAX_THREAD_MESSAGES = 100_000


class Thread(IdentifiedObject):
    object: Literal["thread"] = "thread"
    created_at: int
    tool_resources: ToolResources
    metadata: dict[str, str]
    # An extension, present only if the client set it.
    on_active_run: OnActiveRun | None = Field(None, exclude_if=absent)


class CreateThreadRequest(RequestBody):
    on_active_run: OnActiveRun | None = None
    messages: NewMessages | None = None
    tool_resources: CreateToolResources | None = None
    metadata: Metadata | None = None


class ModifyThreadRequest(ChangesMetadata):
    on_active_run: OnActiveRun | None = None
    tool_resources: ToolResources | None = None
