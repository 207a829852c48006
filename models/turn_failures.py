"""The failures of a turn's earlier attempts, as heartbeat details that the next attempt and the workflow find."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.runs import LastError, LastErrorCode


@dataclass(frozen=True)
class EarlierFailure:
    """The last failure of the model in this turn. `aborted` counts those that are retried only a few times."""

    error: LastError
    aborted: int = 0


def as_details(failure: EarlierFailure) -> Sequence[str | int]:
    return (failure.error.code.value, failure.error.message, failure.aborted)


def failure_in(details: Sequence[Any]) -> EarlierFailure | None:
    """None if no attempt failed, or the details are not of a turn."""
    match details:
        case [code, str(message), int(aborted)] if code in tuple(LastErrorCode):
            return EarlierFailure(LastError(code=LastErrorCode(code), message=message), aborted)
    return None
