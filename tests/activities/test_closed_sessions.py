"""The sandbox sessions of deleted threads."""

from pathlib import Path

import pytest

from activities.closed_sessions import ClosedSessions
from infra.database import sandbox_sessions
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database
from infra.database.migrations import migrate
from infra.sandbox.http_sandbox import HttpCodeSandbox
from models.code_cells import SandboxSession
from tests.database import writing
from tests.infra.database.conftest import PROJECT
from tests.infra.database.server_calls import CalledTools

pytestmark = pytest.mark.any_database
SILENT, OTHER = "http://127.0.0.1:9", "http://127.0.0.1:8"


class Asked(HttpCodeSandbox):
    """Keeps the places of the sessions that were to be closed."""

    def __init__(self) -> None:
        super().__init__(SILENT, "")
        self.places: list[str] = []

    async def close(self, session: SandboxSession) -> None:
        self.places.append(session.place)
        await super().close(session)


async def test_silent_sandbox_is_asked_once_a_sweep(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'holdfast.db'}"
    migrate(url)
    database = Database(create_engine(url, Limits()))
    for place in (SILENT, SILENT, OTHER, SILENT):
        called = CalledTools.of(database, "python")
        with writing(database) as connection:
            sandbox_sessions.create(connection, PROJECT, called.run.thread_id, place)
            sandbox_sessions.close(connection, called.run.thread_id)
    sandbox = Asked()

    ended = await ClosedSessions(database, sandbox).end()
    await sandbox.close_connections()

    assert ended == 0
    assert sorted(sandbox.places) == [OTHER, SILENT]
