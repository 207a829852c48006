"""What stands in the database, read past the API: the rows of runs that are known by their model's name."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from infra.database.engine import Database, open_database
from infra.database.outages import DatabaseUnavailable
from infra.database.tables import IS_ACTIVE, MESSAGES, RUN_STEPS, RUNS, TOOL_CALLS, TURNS


@dataclass(frozen=True)
class StoredRun:
    row: RUNS
    turns: Sequence[TURNS]
    steps: Sequence[RUN_STEPS]
    calls: Sequence[TOOL_CALLS]
    messages: Sequence[MESSAGES]


class Stored:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def status(self, model: str) -> str | None:
        """None where there is no such run, or the database does not answer now."""
        return await self._one(select(RUNS.c.status).where(RUNS.c.model == model))

    async def has_turn(self, model: str, turn: int) -> bool:
        run_ids = select(RUNS.c.id).where(RUNS.c.model == model)
        query = select(TURNS.c.run_status).where(TURNS.c.run_id.in_(run_ids), TURNS.c.turn == turn)
        return await self._one(query) is not None

    async def runs(self) -> dict[str, list[StoredRun]]:
        """Every run, by its model's name; the messages are those of its whole thread."""
        with reading(self._database) as connection:
            found: dict[str, list[StoredRun]] = {}
            for row in (connection.scalars(select(RUNS))).all():
                found.setdefault(row.model, []).append(await _whole(session, row))
            return found

    async def active(self) -> Sequence[str]:
        """The models of runs that hold their thread."""
        with reading(self._database) as connection:
            return (connection.scalars(select(RUNS.c.model).where(IS_ACTIVE))).all()

    async def _one(self, query: Any) -> str | None:
        try:
            with reading(self._database) as connection:
                found: str | None = connection.scalar(query)
                return found
        except (DatabaseUnavailable, SQLAlchemyError):
            return None


@asynccontextmanager
async def open_stored(url: str) -> AsyncIterator[Stored]:
    async with open_database(url) as database:
        yield Stored(database)


async def _whole(connection: Connection, run: RUNS) -> StoredRun:
    turns = select(TURNS).where(TURNS.c.run_id == run.id).order_by(TURNS.c.turn)
    steps = select(RUN_STEPS).where(RUN_STEPS.c.run_id == run.id).order_by(RUN_STEPS.c.seq)
    calls = select(TOOL_CALLS).where(TOOL_CALLS.c.run_id == run.id).order_by(TOOL_CALLS.c.turn, TOOL_CALLS.c.position)
    messages = select(MESSAGES).where(MESSAGES.c.thread_id == run.thread_id).order_by(MESSAGES.c.seq)
    return StoredRun(
        run,
        (connection.scalars(turns)).all(),
        (connection.scalars(steps)).all(),
        (connection.scalars(calls)).all(),
        (connection.scalars(messages)).all(),
    )
