"""The finalization of a run that no complete answer ended, and the closing of its open steps and messages."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.messages import MessageIncompleteReason
from models.run_steps import StepStatus
from models.runs import LastError, LastErrorCode, RunIncompleteReason, RunStatus

GENERIC_FAILURE = "Sorry, something went wrong."


@dataclass(frozen=True)
class Finalization:
    """The final status of a run, and the reason.

    `by` is the execution that finalizes it, the workflow's or a sweep's. The object is passed between a run's workflow
    and its activities: a new field needs a default.
    """

    run_id: str
    status: RunStatus
    error_code: LastErrorCode | None = None
    error_message: str | None = None
    incomplete_reason: RunIncompleteReason | None = None
    by: str = ""

    @property
    def error(self) -> LastError | None:
        """The run's `last_error`; only a failed run has one."""
        if self.status is not RunStatus.FAILED:
            return None
        return LastError(
            code=self.error_code or LastErrorCode.SERVER_ERROR, message=self.error_message or GENERIC_FAILURE
        )


@dataclass(frozen=True)
class CutShort:
    """The status and reason of a step and message that were open when their run, or their attempt, ended."""

    step_status: StepStatus
    message_reason: MessageIncompleteReason


CUT_SHORT: Mapping[RunStatus, CutShort] = {
    RunStatus.CANCELLED: CutShort(StepStatus.CANCELLED, MessageIncompleteReason.RUN_CANCELLED),
    RunStatus.FAILED: CutShort(StepStatus.FAILED, MessageIncompleteReason.RUN_FAILED),
    RunStatus.EXPIRED: CutShort(StepStatus.EXPIRED, MessageIncompleteReason.RUN_EXPIRED),
    RunStatus.INCOMPLETE: CutShort(StepStatus.COMPLETED, MessageIncompleteReason.MAX_TOKENS),
}

UNANSWERED: Mapping[RunStatus, StepStatus] = {
    **{status: cut.step_status for status, cut in CUT_SHORT.items()},
    RunStatus.INCOMPLETE: StepStatus.CANCELLED,
}
"""The status of a step whose calls still wait for their outputs when the run ends. It is not completed: the run has
asked for outputs and got none."""

ATTEMPT_SUPERSEDED = CUT_SHORT[RunStatus.FAILED]
"""The stream closes the answer of a superseded attempt in this way."""


def turns_used_up(turns: int) -> LastError:
    """Why the calls of a run's last turn are not answered: an `incomplete` run has no error of its own."""
    message = f"These calls were not answered: the run has taken {turns} turns, the most that this server allows."
    return LastError(code=LastErrorCode.SERVER_ERROR, message=message)


def step_error(error: LastError | None) -> LastError | None:
    """A run's error in the form of its steps: they have two of its three codes."""
    if error is None or error.code is not LastErrorCode.INVALID_PROMPT:
        return error
    return error.model_copy(update={"code": LastErrorCode.SERVER_ERROR})
