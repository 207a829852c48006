"""Assistants: the wire object and the bodies that create and modify one."""

from typing import Literal

from pydantic import Field

from models.metadata import ChangesMetadata
from models.tools import (
    AssistantTools,
    CreateToolResources,
    ModelName,
    ReasoningEffort,
    ResponseFormat,
    Tool,
    ToolResources,
)
from models.wire import DefaultsToOne, IdentifiedObject, Metadata, RequestBody, Temperature, TopP


class Assistant(IdentifiedObject):
    object: Literal["assistant"] = "assistant"
    created_at: int
    name: str | None
    description: str | None
    model: str
    instructions: str | None
    tools: list[Tool]
    top_p: DefaultsToOne
    temperature: DefaultsToOne
    reasoning_effort: str | None
    tool_resources: ToolResources
    metadata: dict[str, str]
    response_format: ResponseFormat


class AssistantFields(RequestBody):
    name: str | None = Field(None, max_length=256)
    description: str | None = Field(None, max_length=512)
    instructions: str | None = Field(None, max_length=256_000)
    tools: AssistantTools | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: ReasoningEffort | None = None


class CreateAssistantRequest(AssistantFields):
    model: ModelName
    tool_resources: CreateToolResources | None = None
    metadata: Metadata | None = None


class ModifyAssistantRequest(AssistantFields, ChangesMetadata):
    """Only the fields that are present change; a null clears a field that can be null."""

    model: ModelName | None = None
    tool_resources: ToolResources | None = None
