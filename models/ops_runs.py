"""Runs for operators: status, course and retries. Never texts of messages or tool calls."""

from typing import Literal

from pydantic import Field

from models.language_model import FinishReason
from models.runs import LastError, RunIncompleteReason, RunStatus, Usage
from models.tool_calls import ToolKind
from models.wire import IdentifiedObject, RequestBody, WireObject

MAX_NAME_LENGTH = 256


class RetryRunRequest(RequestBody):
    """`by` is recorded with the retry; without it, the project of the caller's key, or that it was an operator's."""

    by: str | None = Field(None, min_length=1, max_length=MAX_NAME_LENGTH)


class OpsRun(IdentifiedObject):
    """`turn` is the next turn of the model, or its last one. Times are in seconds since the epoch."""

    object: Literal["ops.run"] = "ops.run"
    project: str
    status: RunStatus
    assistant_id: str
    thread_id: str
    model: str
    created_at: int
    started_at: int | None
    ended_at: int | None
    expires_at: int | None
    turn: int
    last_error: LastError | None
    incomplete_reason: RunIncompleteReason | None
    usage: Usage | None
    retries: int
    retried_at: int | None
    retried_by: str | None
    temporal_url: str | None


class OpsFailure(WireObject):
    """A failed attempt. Of the attempts before the last one Temporal stores the newest failure only."""

    attempt: int
    message: str
    at: int | None


class OpsToolCall(WireObject):
    """`kind` is `function` or that of a server tool. Only server calls have what follows `is_answered`.

    `error` is the reason of a call that failed for good, as the model reads it; `next_attempt_at` as in a turn.
    """

    id: str
    name: str
    kind: ToolKind
    is_answered: bool
    attempts: int | None
    started_at: int | None
    duration_ms: int | None
    error: str | None
    failures: list[OpsFailure]
    next_attempt_at: int | None


class OpsTurn(WireObject):
    """One answer of the model, complete or in progress. The data of a turn in progress come from Temporal.

    `next_attempt_at` is None unless the last attempt failed and another one is to come.
    """

    turn: int
    is_finished: bool
    attempts: int | None
    started_at: int | None
    duration_ms: int | None
    finish_reason: FinishReason | None
    usage: Usage | None
    failures: list[OpsFailure]
    next_attempt_at: int | None
    tool_calls: list[OpsToolCall]


class OpsRetry(WireObject):
    """`error` is the error with which the run had failed."""

    number: int
    at: int
    by: str | None
    turn: int
    failed_at: int | None
    error: LastError | None


class OpsWorkflow(WireObject):
    """The newest execution of the run's workflow. `status` is Temporal's, or `not_found` or `unreachable`."""

    status: str
    execution: str | None


class OpsRunTimeline(OpsRun):
    turns: list[OpsTurn]
    retry_history: list[OpsRetry]
    workflow: OpsWorkflow
