"""Run transitions of a transaction: recorded while it is open, reported after its commit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from infra.database.columns import AnyRow
from models.runs import RunStatus

_RECORDED = "run_transitions"


@dataclass(frozen=True, slots=True)
class RunIds:
    run_id: str
    thread_id: str

    @classmethod
    def of(cls, row: AnyRow) -> "RunIds":
        return cls(row.id, row.thread_id)


@dataclass(frozen=True, slots=True)
class RunCreated:
    run: RunIds


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A worker started the run, or resumed it with its tool outputs."""

    run: RunIds
    queued_seconds: float


@dataclass(frozen=True, slots=True)
class OutputsSubmitted:
    """A client submitted the outputs of the run's calls."""

    run: RunIds
    awaited_seconds: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    run: RunIds
    status: RunStatus


@dataclass(frozen=True, slots=True)
class RunReopened:
    """A failed run was resumed."""

    run: RunIds


RunTransition = RunCreated | RunStarted | OutputsSubmitted | RunEnded | RunReopened
OnRunTransitions = Callable[[Sequence[RunTransition]], None]


def recording_transitions(connection: Connection) -> Sequence[RunTransition]:
    """Begin to record. The list fills while the connection's transaction makes transitions."""
    recorded: list[RunTransition] = []
    # `info` belongs to the pooled connection: each transaction sets its own list.
    connection.info[_RECORDED] = recorded
    return recorded


def record_transition(connection: Connection, transition: RunTransition) -> None:
    connection.info[_RECORDED].append(transition)
