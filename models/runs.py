"""Runs: the wire objects, the state machine (allowed transitions of the status), and the request bodies."""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from models.ids import AssistantId
from models.language_model import TokenUsage
from models.messages import NewMessages, OnActiveRun
from models.metadata import ChangesMetadata
from models.threads import CreateThreadRequest
from models.tools import ModelName, ReasoningEffort, ResponseFormat, RunTools, Tool, ToolChoice, ToolResources
from models.wire import (
    MAX_SAFE_INTEGER,
    DefaultsToOne,
    IdentifiedObject,
    Metadata,
    RequestBody,
    Temperature,
    TokenLimit,
    TopP,
    WireObject,
    absent,
)

MAX_INSTRUCTIONS_LENGTH = 256_000
MAX_RUN_EXPIRY_SECONDS = 2_592_000
MAX_TOOL_OUTPUTS = 1000


class RunStatus(StrEnum):
    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    EXPIRED = "expired"

    @property
    def is_terminal(self) -> bool:
        return self not in ACTIVE_STATUSES


ACTIVE_STATUSES = frozenset({RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION, RunStatus.CANCELLING})
"""A run with one of these statuses is active on its thread, unless it waits behind another (`on_active_run`)."""

_WORKING = frozenset({RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.REQUIRES_ACTION})

ALLOWED_FROM: dict[RunStatus, frozenset[RunStatus]] = {
    # From requires_action by submitted outputs; from failed by a retry.
    RunStatus.QUEUED: frozenset({RunStatus.REQUIRES_ACTION, RunStatus.FAILED}),
    # From failed by a reset in Temporal; from in_progress by the next attempt or the next turn.
    RunStatus.IN_PROGRESS: frozenset({RunStatus.QUEUED, RunStatus.IN_PROGRESS, RunStatus.FAILED}),
    RunStatus.REQUIRES_ACTION: frozenset({RunStatus.IN_PROGRESS}),
    RunStatus.CANCELLING: _WORKING,
    # From any of these by an operator: a cancel of the workflow in Temporal.
    RunStatus.CANCELLED: _WORKING | {RunStatus.CANCELLING},
    RunStatus.FAILED: _WORKING,
    RunStatus.COMPLETED: frozenset({RunStatus.IN_PROGRESS}),
    # From any of these when Temporal's limits leave no room for another turn.
    RunStatus.INCOMPLETE: _WORKING,
    RunStatus.EXPIRED: _WORKING,
}
"""Every status write is guarded by this table. A write whose guard matches nothing lost a race; it reads again."""


class LastErrorCode(StrEnum):
    SERVER_ERROR = "server_error"
    RATE_LIMIT_EXCEEDED = "rate_limit_exceeded"
    INVALID_PROMPT = "invalid_prompt"


class LastError(WireObject):
    code: LastErrorCode
    message: str


class RequiredFunction(WireObject):
    name: str
    arguments: str


class RequiredToolCall(WireObject):
    id: str
    type: Literal["function"] = "function"
    function: RequiredFunction


class RequiredToolCalls(WireObject):
    tool_calls: list[RequiredToolCall]


class RequiredAction(WireObject):
    type: Literal["submit_tool_outputs"] = "submit_tool_outputs"
    submit_tool_outputs: RequiredToolCalls


class RunIncompleteReason(StrEnum):
    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    MAX_PROMPT_TOKENS = "max_prompt_tokens"


class RunIncompleteDetails(WireObject):
    reason: RunIncompleteReason


class PromptTokenDetails(WireObject):
    cached_tokens: int = 0


class CompletionTokensDetails(WireObject):
    reasoning_tokens: int = 0


class Usage(WireObject):
    """Tokens used. `prompt_token_details` is singular on the wire."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_token_details: PromptTokenDetails = PromptTokenDetails()
    completion_tokens_details: CompletionTokensDetails = CompletionTokensDetails()

    @classmethod
    def of(cls, tokens: TokenUsage) -> Self:
        return cls(
            prompt_tokens=tokens.prompt_tokens,
            completion_tokens=tokens.completion_tokens,
            total_tokens=tokens.prompt_tokens + tokens.completion_tokens,
            prompt_token_details=PromptTokenDetails(cached_tokens=tokens.cached_tokens),
            completion_tokens_details=CompletionTokensDetails(reasoning_tokens=tokens.reasoning_tokens),
        )


class TruncationStrategy(RequestBody):
    type: Literal["auto", "last_messages"]
    last_messages: int | None = Field(None, ge=1, le=MAX_SAFE_INTEGER)

    @model_validator(mode="after")
    def _has_its_number(self) -> Self:
        if self.type == "last_messages" and self.last_messages is None:
            raise PydanticCustomError("missing_at", "missing", {"at": "last_messages"})
        return self


class Run(IdentifiedObject):
    object: Literal["thread.run"] = "thread.run"
    created_at: int
    assistant_id: str
    thread_id: str
    status: RunStatus
    started_at: int | None
    expires_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    required_action: RequiredAction | None
    last_error: LastError | None
    model: str
    # The SDKs type it as a string, so unset instructions are sent as an empty one.
    instructions: str
    tools: list[Tool]
    tool_resources: ToolResources
    metadata: dict[str, str]
    temperature: DefaultsToOne
    top_p: DefaultsToOne
    reasoning_effort: str | None
    max_completion_tokens: int | None
    max_prompt_tokens: int | None
    truncation_strategy: TruncationStrategy
    incomplete_details: RunIncompleteDetails | None
    usage: Usage | None
    response_format: ResponseFormat
    tool_choice: ToolChoice
    parallel_tool_calls: bool


class RunExpiry(RequestBody):
    """The time limit of the run (a Holdfast extension, in the form of OpenAI's file expiry)."""

    anchor: Literal["created_at"] = "created_at"
    seconds: int = Field(ge=1, le=MAX_RUN_EXPIRY_SECONDS)


def _with_effect(strategy: TruncationStrategy) -> TruncationStrategy:
    if strategy.type == "auto" and strategy.last_messages is not None:
        # Refused only in requests: runs that were stored before this rule can still be read.
        raise PydanticCustomError(
            "without_effect_at", "only allowed when 'type' is 'last_messages'", {"at": "last_messages"}
        )
    return strategy


class RunOverrides(RequestBody):
    """The common fields of both ways to create a run. A null or absent field is taken from the assistant.

    `tool_resources` of a run on an existing thread come from Azure; OpenAI has them only beside a new thread.
    """

    assistant_id: AssistantId
    tool_resources: ToolResources | None = None
    model: ModelName | None = None
    instructions: str | None = Field(None, max_length=MAX_INSTRUCTIONS_LENGTH)
    tools: RunTools | None = None
    metadata: Metadata | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    max_prompt_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    truncation_strategy: Annotated[TruncationStrategy, AfterValidator(_with_effect)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    stream: bool | None = None
    expires_after: RunExpiry | None = None


class CreateRunRequest(RunOverrides):
    additional_instructions: str | None = Field(None, max_length=MAX_INSTRUCTIONS_LENGTH)
    additional_messages: NewMessages | None = None
    reasoning_effort: ReasoningEffort | None = None
    on_active_run: OnActiveRun | None = None


class CreateThreadAndRunRequest(RunOverrides):
    thread: CreateThreadRequest | None = None


class ModifyRunRequest(ChangesMetadata):
    """Nothing else of it can be changed."""


class ToolOutput(RequestBody):
    """`output` may be absent: some clients leave an empty one out. Azure's clients send the `type`."""

    type: Literal["function_call_output"] | None = None
    tool_call_id: str
    output: Annotated[str | None, Field(exclude_if=absent)] = None


class SubmitToolOutputsRequest(RequestBody):
    tool_outputs: Annotated[
        list[ToolOutput],
        Field(max_length=MAX_TOOL_OUTPUTS, fail_fast=True),
    ]
    stream: bool | None = None
