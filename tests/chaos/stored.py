"""Reads the database directly, without the API: the rows of runs, which are found by their model's name."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from infra.database import ingestions, vector_store_additions, vector_stores
from infra.database.columns import AnyRow
from infra.database.engine import Database, open_database
from infra.database.outages import DatabaseUnavailable
from infra.database.run_tables import IS_ACTIVE, RUN_STEPS, RUNS, TOOL_CALLS, TURNS
from infra.database.sandbox_tables import SANDBOX_SESSIONS
from infra.database.thread_tables import MESSAGES
from infra.database.vector_store_tables import VECTOR_STORE_FILES
from models.documents import FileErrorCode
from models.ingestion import IngestEnd, IngestError
from models.vector_stores import Attachment, ChunkSizes, StoreFileStatus


@dataclass(frozen=True)
class StoredRun:
    row: AnyRow
    turns: Sequence[AnyRow]
    steps: Sequence[AnyRow]
    calls: Sequence[AnyRow]
    messages: Sequence[AnyRow]


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

    async def has_result(self, model: str) -> bool:
        """Whether a call of a server tool has its result."""
        run_ids = select(RUNS.c.id).where(RUNS.c.model == model)
        query = select(TOOL_CALLS.c.id).where(TOOL_CALLS.c.run_id.in_(run_ids), TOOL_CALLS.c.result.is_not(None))
        return await self._one(query) is not None

    async def has_logs(self, model: str) -> bool:
        """Whether code of a run has written something, and has no result yet."""
        run_ids = select(RUNS.c.id).where(RUNS.c.model == model)
        logs = TOOL_CALLS.c.cell["logs"].as_string()
        query = select(TOOL_CALLS.c.id).where(
            TOOL_CALLS.c.run_id.in_(run_ids), logs != "", TOOL_CALLS.c.result.is_(None)
        )
        return await self._one(query) is not None

    async def hold(self, store_id: str, file_id: str) -> None:
        """Add a file to a store without commanding its ingestion."""
        await self._database.write(_add_file, store_id, file_id)

    async def release(self, store_id: str) -> None:
        """End the ingestion of the store's file, as failed."""
        await self._database.write(_fail_file, store_id)

    async def runs(self) -> dict[str, list[StoredRun]]:
        """Every run, by its model's name; the messages are those of its whole thread."""
        return await self._database.read(_all_runs)

    async def sandbox_sessions(self) -> int:
        """How many sessions of code have rows."""
        return await self._database.read(_count_sandbox_sessions)

    async def active(self) -> Sequence[str]:
        """The models of active runs."""
        return await self._database.read(_active_models)

    async def _one(self, query: Select[Any]) -> str | None:
        try:
            found: str | None = await self._database.read(Connection.scalar, query)
        except DatabaseUnavailable:
            return None
        return found


@asynccontextmanager
async def open_stored(url: str) -> AsyncIterator[Stored]:
    async with open_database(url) as database:
        yield Stored(database)


def _add_file(connection: Connection, store_id: str, file_id: str) -> None:
    store = vector_stores.lock_any(connection, store_id)
    assert store is not None
    vector_store_additions.add(connection, store, [Attachment(file_id, None, ChunkSizes())])


def _fail_file(connection: Connection, store_id: str) -> None:
    row = connection.execute(select(VECTOR_STORE_FILES).where(VECTOR_STORE_FILES.c.store_id == store_id)).one()
    error = IngestError(FileErrorCode.SERVER_ERROR, "Released by the suite.")
    ended = IngestEnd(ingestions.ingest_input(row), StoreFileStatus.FAILED, error)
    ingestions.end(connection, ended)


def _all_runs(connection: Connection) -> dict[str, list[StoredRun]]:
    found: dict[str, list[StoredRun]] = {}
    for row in connection.execute(select(RUNS)).all():
        found.setdefault(row.model, []).append(_whole(connection, row))
    return found


def _active_models(connection: Connection) -> Sequence[str]:
    return connection.scalars(select(RUNS.c.model).where(IS_ACTIVE)).all()


def _count_sandbox_sessions(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(SANDBOX_SESSIONS)) or 0


def _whole(connection: Connection, run: AnyRow) -> StoredRun:
    turns = select(TURNS).where(TURNS.c.run_id == run.id).order_by(TURNS.c.turn)
    steps = select(RUN_STEPS).where(RUN_STEPS.c.run_id == run.id).order_by(RUN_STEPS.c.seq)
    calls = select(TOOL_CALLS).where(TOOL_CALLS.c.run_id == run.id).order_by(TOOL_CALLS.c.turn, TOOL_CALLS.c.position)
    messages = select(MESSAGES).where(MESSAGES.c.thread_id == run.thread_id).order_by(MESSAGES.c.seq)
    return StoredRun(
        run,
        connection.execute(turns).all(),
        connection.execute(steps).all(),
        connection.execute(calls).all(),
        connection.execute(messages).all(),
    )
