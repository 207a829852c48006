"""What passes between a run's workflow and its activities: ids and small facts, never conversation content."""

from dataclasses import dataclass
from enum import StrEnum

from models.runs import LastErrorCode, RunStatus


@dataclass(frozen=True)
class RunInput:
    """What a run's workflow is started with. `expires_at` is in seconds since the epoch."""

    run_id: str
    thread_id: str
    assistant_id: str
    model: str
    expires_at: int


@dataclass(frozen=True)
class TurnInput:
    """One turn of a run: one answer of the model, counted from 0."""

    run_id: str
    turn: int


class NextStep(StrEnum):
    """What a finished turn asks the workflow to do."""

    FINISH = "finish"
    AWAIT_TOOL_OUTPUTS = "await_tool_outputs"


@dataclass(frozen=True)
class TurnOutcome:
    """`status` is the run's status once the turn was committed."""

    next_step: NextStep
    status: RunStatus


@dataclass(frozen=True)
class RunEnding:
    """How a run is to be closed when no turn could close it."""

    run_id: str
    status: RunStatus
    error_code: LastErrorCode | None = None
    error_message: str | None = None


SUBMIT_SIGNAL = "submit_tool_outputs"
"""Carries the turn that was answered. Defined here because senders must not import the workflow."""

RUN_WORKFLOW = "RunWorkflow"
