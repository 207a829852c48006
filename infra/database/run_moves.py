"""What a transaction does to runs: noted while it is open, told to whoever counts it once it is committed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.tables import RunRow
from models.runs import RunStatus

_NOTED = "run_moves"


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


RunMove = RunCreated | RunStarted | OutputsSubmitted | RunEnded | RunReopened
OnRunMoves = Callable[[Sequence[RunMove]], None]


def note(session: AsyncSession, move: RunMove) -> None:
    session.info.setdefault(_NOTED, []).append(move)


def noted(session: AsyncSession) -> Sequence[RunMove]:
    moves: Sequence[RunMove] = session.info.get(_NOTED, ())
    return moves
