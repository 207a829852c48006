"""The changes of run status that a transaction makes: recorded while it is open, reported once it is committed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.tables import RunRow
from models.runs import RunStatus

_RECORDED = "run_transitions"


@dataclass(frozen=True, slots=True)
class RunIds:
    run_id: str
    thread_id: str

    @classmethod
    def of(cls, row: RunRow) -> "RunIds":
        return cls(row.id, row.thread_id)


@dataclass(frozen=True, slots=True)
class RunCreated:
    run: RunIds


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A worker took the run up, or took it up again with the outputs it had waited for."""

    run: RunIds
    queued_seconds: float


@dataclass(frozen=True, slots=True)
class OutputsSubmitted:
    """A client answered the run's calls."""

    run: RunIds
    awaited_seconds: float


@dataclass(frozen=True, slots=True)
class RunEnded:
    run: RunIds
    status: RunStatus


@dataclass(frozen=True, slots=True)
class RunReopened:
    """A run that had failed was taken up again."""

    run: RunIds


RunTransition = RunCreated | RunStarted | OutputsSubmitted | RunEnded | RunReopened
OnRunTransitions = Callable[[Sequence[RunTransition]], None]


def record_transition(session: AsyncSession, transition: RunTransition) -> None:
    session.info.setdefault(_RECORDED, []).append(transition)


def recorded_transitions(session: AsyncSession) -> Sequence[RunTransition]:
    transitions: Sequence[RunTransition] = session.info.get(_RECORDED, ())
    return transitions
