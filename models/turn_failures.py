"""The failure of a turn's earlier attempt, as the heartbeat details that the next attempt and the workflow find."""

from collections.abc import Sequence
from typing import Any

from models.runs import LastError, LastErrorCode


def as_details(failure: LastError | None) -> Sequence[str]:
    return () if failure is None else (failure.code.value, failure.message)


def failure_in(details: Sequence[Any]) -> LastError | None:
    """None if no attempt failed, or the details are not of a turn."""
    match details:
        case [code, str(message)] if code in tuple(LastErrorCode):
            return LastError(code=LastErrorCode(code), message=message)
    return None
