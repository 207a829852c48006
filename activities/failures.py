"""The errors of activities, which decide whether Temporal retries.

The first detail of an error of the run is its `last_error.code`, with which the run fails if its deadline ends the
retries. An error of the attempt alone has no details.
Raise them `from None`: a cause would go into the history with its stack trace and the provider's text.
"""

from datetime import timedelta
from typing import Any

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from models.documents import FileErrorCode
from models.runs import LastErrorCode, RunStatus


def passing_failure(
    code: LastErrorCode | FileErrorCode, error: Exception, retry_after: timedelta | None
) -> ApplicationError:
    """Retryable, after the delay that the provider asked for, if it did."""
    return _failure(error, code, next_retry_delay=retry_after)


def not_ready(error: Exception, retry_after: timedelta) -> ApplicationError:
    """Retryable: the activity waits for something, and nothing has failed."""
    return _failure(error, next_retry_delay=retry_after)


def final_failure(code: LastErrorCode, error: Exception) -> ApplicationError:
    """Not retryable."""
    return _failure(error, code, non_retryable=True)


def _failure(error: Exception, *details: LastErrorCode | FileErrorCode, **what_to_do: Any) -> ApplicationError:
    # Benign: the SDK would log a stack trace for each, although one line has all the facts.
    return ApplicationError(
        str(error), *details, type=type(error).__name__, category=ApplicationErrorCategory.BENIGN, **what_to_do
    )


class WorkerStopped(ApplicationError):
    """This worker stops, not the run: another worker retries the activity at once."""

    def __init__(self) -> None:
        super().__init__(
            "The worker was stopped.",
            type="WorkerStopped",
            next_retry_delay=timedelta(milliseconds=1),
            category=ApplicationErrorCategory.BENIGN,
        )


class WorkerGone(ApplicationError):
    """The worker that had begun the activity has ended without a word: another one retries it at once."""

    def __init__(self, worker: str) -> None:
        super().__init__(
            f"The worker {worker} is gone.",
            type="WorkerGone",
            next_retry_delay=timedelta(milliseconds=1),
            category=ApplicationErrorCategory.BENIGN,
        )


class AttemptSuperseded(ApplicationError):
    """The attempt is superseded by a newer one, or the run's workflow has ended.

    Temporal discards the error, unless its clock was set back: then the turn is retried.
    """

    def __init__(self, turn: int) -> None:
        super().__init__(
            f"This attempt at turn {turn} was superseded.",
            type="AttemptSuperseded",
            category=ApplicationErrorCategory.BENIGN,
        )


class CallSuperseded(ApplicationError):
    """As `AttemptSuperseded`, for an attempt at a tool call."""

    def __init__(self, call_id: str) -> None:
        super().__init__(
            f"This attempt at tool call {call_id} was superseded.",
            type="CallSuperseded",
            category=ApplicationErrorCategory.BENIGN,
        )


class TurnNotReady(ApplicationError):
    """The run does not wait for this turn yet, although the workflow scheduled it. Retried until it does."""

    def __init__(self, turn: int, status: RunStatus) -> None:
        super().__init__(f"Turn {turn} is not due: the run is {status}.", type="TurnNotReady")
