"""The database, read past the API: the rows of runs, identified by their model's name."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from infra.database.engine import Database, open_database
from infra.database.outages import DatabaseUnavailable
from infra.database.tables import IS_ACTIVE, MessageRow, RunRow, RunStepRow, ToolCallRow, TurnRow


@dataclass(frozen=True)
class StoredRun:
    row: RunRow
    turns: Sequence[TurnRow]
    steps: Sequence[RunStepRow]
    calls: Sequence[ToolCallRow]
    messages: Sequence[MessageRow]


class Stored:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def status(self, model: str) -> str | None:
        """None where there is no such run, or the database does not answer now."""
        return await self._one(select(RunRow.status).where(RunRow.model == model))

    async def has_turn(self, model: str, turn: int) -> bool:
        run_ids = select(RunRow.id).where(RunRow.model == model)
        query = select(TurnRow.run_status).where(TurnRow.run_id.in_(run_ids), TurnRow.turn == turn)
        return await self._one(query) is not None

    async def runs(self) -> dict[str, list[StoredRun]]:
        """Every run, by its model's name; the messages are those of its whole thread."""
        async with self._database.reading() as session:
            found: dict[str, list[StoredRun]] = {}
            for row in (await session.scalars(select(RunRow))).all():
                found.setdefault(row.model, []).append(await _whole(session, row))
            return found

    async def active(self) -> Sequence[str]:
        """The models of runs that hold their thread."""
        async with self._database.reading() as session:
            return (await session.scalars(select(RunRow.model).where(IS_ACTIVE))).all()

    async def _one(self, query: Any) -> str | None:
        try:
            async with self._database.reading() as session:
                found: str | None = await session.scalar(query)
                return found
        except (DatabaseUnavailable, SQLAlchemyError):
            return None


@asynccontextmanager
async def open_stored(url: str) -> AsyncIterator[Stored]:
    async with open_database(url) as database:
        yield Stored(database)


async def _whole(session: AsyncSession, run: RunRow) -> StoredRun:
    turns = select(TurnRow).where(TurnRow.run_id == run.id).order_by(TurnRow.turn)
    steps = select(RunStepRow).where(RunStepRow.run_id == run.id).order_by(RunStepRow.seq)
    calls = select(ToolCallRow).where(ToolCallRow.run_id == run.id).order_by(ToolCallRow.turn, ToolCallRow.position)
    messages = select(MessageRow).where(MessageRow.thread_id == run.thread_id).order_by(MessageRow.seq)
    return StoredRun(
        run,
        (await session.scalars(turns)).all(),
        (await session.scalars(steps)).all(),
        (await session.scalars(calls)).all(),
        (await session.scalars(messages)).all(),
    )
