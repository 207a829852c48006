"""Run steps: the parts of a run, each one message or one group of tool calls."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field

from models.runs import LastError, RequiredAction, RequiredFunction, RequiredToolCall, RequiredToolCalls, Usage
from models.tool_calls import ToolCall, ToolKind
from models.wire import IdentifiedObject, TaggedBy, WireObject, absent


class StepType(StrEnum):
    MESSAGE_CREATION = "message_creation"
    TOOL_CALLS = "tool_calls"


class StepStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    EXPIRED = "expired"


class MessageCreation(WireObject):
    message_id: str


class MessageCreationDetails(WireObject):
    type: Literal["message_creation"] = "message_creation"
    message_creation: MessageCreation


class CalledFunction(WireObject):
    """`output` is null until the client has submitted it."""

    name: str
    arguments: str
    output: str | None


class FunctionToolCall(WireObject):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class SearchRanking(WireObject):
    ranker: str
    score_threshold: float


class SearchedText(WireObject):
    type: Literal["text"] = "text"
    text: str


class FoundChunk(WireObject):
    """`content` is present only if the client asked for it with `include[]`."""

    file_id: str
    file_name: str
    score: float
    attributes: dict[str, Any]
    content: list[SearchedText] | None = Field(None, exclude_if=absent)


class FileSearch(WireObject):
    ranking_options: SearchRanking
    results: list[FoundChunk]


class FileSearchToolCall(WireObject):
    id: str
    type: Literal["file_search"] = "file_search"
    file_search: FileSearch


class LogsOutput(WireObject):
    type: Literal["logs"] = "logs"
    logs: str


class ImageOutputFile(WireObject):
    file_id: str


class ImageOutput(WireObject):
    type: Literal["image"] = "image"
    image: ImageOutputFile


class CodeInterpreter(WireObject):
    input: str
    outputs: list[Annotated[LogsOutput | ImageOutput, TaggedBy("type")]]


class CodeInterpreterToolCall(WireObject):
    id: str
    type: Literal["code_interpreter"] = "code_interpreter"
    code_interpreter: CodeInterpreter


class RetrievedPassage(WireObject):
    """`score` is null for pages that no collection ranked."""

    url: str
    content: str
    depth: int
    title: str
    score: float | None


class WebRetrievalToolCall(WireObject):
    """An extension: as the OpenGPTs assistants-api sends it, and with `title` and `score`."""

    id: str
    type: Literal["web_retrieval"] = "web_retrieval"
    query: str
    retrieval: list[RetrievedPassage]


StepToolCall = FunctionToolCall | FileSearchToolCall | CodeInterpreterToolCall | WebRetrievalToolCall


class ToolCallsDetails(WireObject):
    type: Literal["tool_calls"] = "tool_calls"
    tool_calls: list[Annotated[StepToolCall, TaggedBy("type")]]


class RunStep(IdentifiedObject):
    """Has both the `expires_at` of the recorded wire and the `expired_at` of the published schema."""

    object: Literal["thread.run.step"] = "thread.run.step"
    created_at: int
    run_id: str
    assistant_id: str
    thread_id: str
    type: StepType
    status: StepStatus
    cancelled_at: int | None
    completed_at: int | None
    expired_at: int | None
    expires_at: int | None
    failed_at: int | None
    last_error: LastError | None
    step_details: Annotated[MessageCreationDetails | ToolCallsDetails, TaggedBy("type")]
    metadata: dict[str, str]
    usage: Usage | None


def required_action(calls: Iterable[ToolCall]) -> RequiredAction:
    """The `required_action` of a run that made these calls: the functions among them."""
    required = [
        RequiredToolCall(id=call.id, function=RequiredFunction(name=call.name, arguments=call.arguments))
        for call in calls
        if call.kind is ToolKind.FUNCTION
    ]
    return RequiredAction(submit_tool_outputs=RequiredToolCalls(tool_calls=required))
