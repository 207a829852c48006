"""How an activity tells Temporal what to do about an error.

The first detail of what is wrong with the run is its `last_error.code`; what is only wrong with the attempt has none.
Raise them `from None`: a cause would go into the history with its stack trace and whatever the provider said.
"""

from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from models.runs import LastErrorCode, RunStatus
from models.vector_store_errors import FileErrorCode


def passing_failure(
    code: LastErrorCode | FileErrorCode, error: Exception, retry_after: timedelta | None
) -> ApplicationError:
    """It may go away: try again, after the delay that the provider asked for, if it did."""
    return _failure(code, error, next_retry_delay=retry_after)


def final_failure(code: LastErrorCode, error: Exception) -> ApplicationError:
    """Trying again is no use."""
    return _failure(code, error, non_retryable=True)


def _failure(code: LastErrorCode | FileErrorCode, error: Exception, **what_to_do: Any) -> ApplicationError:
    # Benign: the SDK would log a stack trace for each, where one line says all there is to say.
    return ApplicationError(
        str(error), code, type=type(error).__name__, category=ApplicationErrorCategory.BENIGN, **what_to_do
    )


class WorkerStopped(ApplicationError):
    """This worker stops, not the run: another one is to take the activity up at once."""

    def __init__(self) -> None:
        super().__init__(
            "The worker was stopped.",
            type="WorkerStopped",
            next_retry_delay=timedelta(milliseconds=1),
            category=ApplicationErrorCategory.BENIGN,
        )


class AttemptSuperseded(ApplicationError):
    """Temporal has given this attempt up: a newer one is at the turn, or the run's workflow is gone.

    Nobody hears of it, unless Temporal's clock was set back: then the turn is tried again.
    """

    def __init__(self, turn: int) -> None:
        super().__init__(
            f"This attempt at turn {turn} was given up.",
            type="AttemptSuperseded",
            category=ApplicationErrorCategory.BENIGN,
        )


class TurnNotReady(ApplicationError):
    """The run does not wait for this turn yet, whatever the workflow was told: it is tried again until it does."""

    def __init__(self, turn: int, status: RunStatus) -> None:
        super().__init__(f"Turn {turn} is not due: the run is {status}.", type="TurnNotReady")
