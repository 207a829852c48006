"""The failures of a turn's earlier attempts, as heartbeat details that the next attempt and the workflow find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.runs import LastError, LastErrorCode


@dataclass(frozen=True)
class EarlierFailure:
    """The last failure of the model in this turn. `counts`: those retried only a few times, by kind."""

    error: LastError
    counts: Mapping[str, int] = field(default_factory=dict)


def as_details(failure: EarlierFailure) -> Sequence[str | int | Mapping[str, int]]:
    """Three details that workers of earlier versions read as well, and a fourth where failures are counted."""
    details = (failure.error.code.value, failure.error.message, sum(failure.counts.values()))
    return (*details, failure.counts) if failure.counts else details


def failure_in(details: Sequence[Any]) -> EarlierFailure | None:
    """None if no attempt failed, or the details are not of a turn. Earlier versions counted without kinds."""
    match details:
        case [code, str(message), int(), *counted] if code in tuple(LastErrorCode):
            return EarlierFailure(LastError(code=LastErrorCode(code), message=message), _counts(counted))
    return None


def _counts(counted: Sequence[Any]) -> Mapping[str, int]:
    match counted:
        case [dict() as counts]:
            return {str(kind): number for kind, number in counts.items() if isinstance(number, int)}
    return {}
