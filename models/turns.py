"""The arguments and results of a run's activities: ids and small facts, never texts of messages."""

from dataclasses import dataclass
from enum import StrEnum

from models.runs import Run, RunStatus
from models.tool_calls import ToolKind


@dataclass(frozen=True)
class RunInput:
    """The argument of a run's workflow. `expires_at` is in seconds since the epoch."""

    run_id: str
    thread_id: str
    assistant_id: str
    model: str
    expires_at: int
    lifetime_seconds: int

    @classmethod
    def of(cls, run: Run, lifetime_seconds: int | None = None) -> "RunInput":
        """Without `lifetime_seconds`, it is derived from the run's times: not valid for a retried run."""
        expires_at = run.expires_at or run.created_at
        return cls(
            run_id=run.id,
            thread_id=run.thread_id,
            assistant_id=run.assistant_id,
            model=run.model,
            expires_at=expires_at,
            lifetime_seconds=expires_at - run.created_at if lifetime_seconds is None else lifetime_seconds,
        )


@dataclass(frozen=True)
class TurnInput:
    """One turn of a run: one answer of the model, counted from 0."""

    run_id: str
    turn: int


@dataclass(frozen=True)
class RetryCommand:
    """Resumes a failed run: its workflow continues with `turn`, in another execution than `failed_execution`."""

    run: RunInput
    turn: int
    failed_execution: str
    requested_by: str


class NextStep(StrEnum):
    """The workflow's next step after a finished turn."""

    FINISH = "finish"
    AWAIT_TOOL_OUTPUTS = "await_tool_outputs"
    RUN_TOOLS = "run_tools"


@dataclass(frozen=True)
class ServerCall:
    """A tool call that the server runs."""

    id: str
    kind: ToolKind


@dataclass(frozen=True)
class TurnOutcome:
    """`status` and the deadline `expires_at` are the run's after the commit of the turn."""

    next_step: NextStep
    status: RunStatus
    expires_at: int | None
    server_calls: tuple[ServerCall, ...] = ()


@dataclass(frozen=True)
class ToolCallInput:
    """One call of a turn that the server runs."""

    run_id: str
    turn: int
    call_id: str


@dataclass(frozen=True)
class RunState:
    """A run's state in the database. `turn` is the turn in progress or the next one."""

    status: RunStatus
    turn: int
    expires_at: int | None


SUBMIT_SIGNAL = "submit_tool_outputs"
"""Carries the number of the answered turn. Defined here because senders must not import the workflow."""

RUN_WORKFLOW = "RunWorkflow"

MODEL_TURN = "ModelTurn.generate"
"""The name of a turn's activity in histories."""

TOOL_CALL = "ToolCalls.execute"
"""The name of a server call's activity in histories."""

RUN_STATUS_ATTRIBUTE = "RunStatus"
"""The search attribute that follows a run's status in the Temporal UI."""
