"""The sandbox sessions of deleted threads."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from activities.closed_sessions import FORGOTTEN_AFTER, ClosedSessions
from infra.clock import now_seconds
from infra.database import sandbox_sessions
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database
from infra.database.sandbox_tables import SANDBOX_SESSIONS
from infra.sandbox.http_sandbox import HttpCodeSandbox
from models.code_cells import SandboxSession
from tests.database import new_sqlite_database, writing
from tests.infra.database.conftest import PROJECT
from tests.infra.database.server_calls import CalledTools

pytestmark = pytest.mark.any_database
SILENT, OTHER, ANSWERING = "http://127.0.0.1:9", "http://127.0.0.1:8", "http://sandbox"


class Sandbox(HttpCodeSandbox):
    """Keeps the places of the sessions that were to be closed. Those at `ANSWERING` are closed."""

    def __init__(self) -> None:
        super().__init__(SILENT, "")
        self.places: list[str] = []

    async def close(self, session: SandboxSession) -> None:
        self.places.append(session.place)
        if session.place != ANSWERING:
            await super().close(session)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox()
    yield made
    await made.close_connections()


@pytest.fixture
def database(tmp_path: Path) -> Database:
    url = new_sqlite_database(tmp_path)
    return Database(create_engine(url, Limits()))


def close_sessions(database: Database, *places: str, closed_at: int | None = None) -> None:
    """Of threads that are deleted, the one with the first place first."""
    for number, place in enumerate(places):
        called = CalledTools.of(database, "python")
        with writing(database) as connection:
            sandbox_sessions.create(connection, PROJECT, called.run.thread_id, place)
            sandbox_sessions.close(connection, called.run.thread_id)
            at = (now_seconds() if closed_at is None else closed_at) + number
            of_thread = SANDBOX_SESSIONS.c.thread_id == called.run.thread_id
            connection.execute(update(SANDBOX_SESSIONS).where(of_thread).values(closed_at=at))


async def left(database: Database) -> list[str]:
    return [each.place for each in await database.read(sandbox_sessions.closed, 1000)]


async def test_silent_sandbox_is_asked_once_a_sweep(database: Database, sandbox: Sandbox) -> None:
    close_sessions(database, SILENT, SILENT, OTHER, SILENT)

    ended = await ClosedSessions(database, sandbox).end()

    assert ended == 0
    assert sorted(sandbox.places) == [OTHER, SILENT]


async def test_sessions_behind_those_of_silent_sandboxes_are_ended(
    database: Database, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.closed_sessions.SESSIONS_AT_A_TIME", 2)
    close_sessions(database, SILENT, SILENT, SILENT, OTHER, OTHER, ANSWERING)

    ended = await ClosedSessions(database, sandbox).end()

    assert (ended, await left(database)) == (1, [SILENT] * 3 + [OTHER] * 2)


async def test_sessions_of_a_sandbox_that_is_silent_for_a_day_are_forgotten(
    database: Database, sandbox: Sandbox
) -> None:
    yesterday = now_seconds() - FORGOTTEN_AFTER // timedelta(seconds=1) - 10
    close_sessions(database, SILENT, SILENT, closed_at=yesterday)
    close_sessions(database, SILENT)

    ended = await ClosedSessions(database, sandbox).end()

    assert (ended, len(await left(database))) == (2, 1)


async def test_sessions_without_any_sandbox_are_forgotten(database: Database) -> None:
    close_sessions(database, SILENT, OTHER)

    assert await ClosedSessions(database, None).end() == 2
