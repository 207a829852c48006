"""Runs as operators see them: how they stand, what they did, who took them up again. Never what was said."""

from typing import Literal

from pydantic import Field

from models.language_model import FinishReason
from models.runs import LastError, RunIncompleteReason, RunStatus, Usage
from models.wire import IdentifiedObject, RequestBody, WireObject

MAX_NAME_LENGTH = 256


class RetryRunRequest(RequestBody):
    """`by` is recorded on the run; without it, the project of the caller's key is, or that it was an operator's."""

    by: str | None = Field(None, min_length=1, max_length=MAX_NAME_LENGTH)


class OpsRun(IdentifiedObject):
    """`turn` is the one the model is asked for next, or was asked for last. Times are in seconds since the epoch."""

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
    """An attempt that failed. Of the attempts before the last one Temporal keeps the newest failure only."""

    attempt: int
    message: str
    at: int | None


class OpsToolCall(WireObject):
    id: str
    name: str
    is_answered: bool


class OpsTurn(WireObject):
    """One answer of the model, or the one that is being asked for. What an unfinished one shows comes from Temporal."""

    turn: int
    is_finished: bool
    attempts: int | None
    started_at: int | None
    duration_ms: int | None
    finish_reason: FinishReason | None
    usage: Usage | None
    failures: list[OpsFailure]
    tool_calls: list[OpsToolCall]


class OpsRetry(WireObject):
    """`error` is what the run had failed with."""

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
