"""A migrated database per test module, of each kind, and what one thread with a run on it leaves there."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection, event

from infra.database import assistants, runs, threads
from infra.database.connections import Limits, create_engine
from infra.database.engine import Database, open_database
from models.assistants import CreateAssistantRequest
from models.messages import CreateMessageRequest
from models.run_specs import RunSpec
from models.runs import CreateRunRequest
from models.threads import CreateThreadRequest
from models.tools import FunctionDefinition, FunctionTool
from tests.conftest import LendDatabase, NewDatabase
from tests.database import new_sqlite_database, writing
from tests.infra.database.filling import fill
from tests.postgres.server import PostgresServer

PROJECT = "default"
# One process of pytest-xdist: to fill a database takes seconds, and a copy of it a fraction of one.
SHARES_FILLED = pytest.mark.xdist_group("filled-database")
WEATHER = FunctionTool(type="function", function=FunctionDefinition(name="weather"))


@dataclass(frozen=True)
class Stored:
    assistant_id: str
    thread_id: str
    run_id: str


@pytest.fixture(scope="module")
async def database(lend_database: LendDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    with lend_database() as url:
        async with open_database(url or new_sqlite_database(tmp_path_factory.mktemp("database"))) as opened:
            yield opened


# Not by `database_kind`: a group begins before other tests, and its end would set up fixtures of the session anew.
@pytest.fixture(scope="module", params=["sqlite", "postgres"])
async def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Database]:
    """With so many rows that Postgres uses indexes. Its modules are `SHARES_FILLED`."""
    if request.param == "postgres":
        postgres: PostgresServer = request.getfixturevalue("postgres")
        url = postgres.new_database(request.getfixturevalue("filled_postgres"))
    else:
        url = new_sqlite_database(tmp_path_factory.mktemp("filled"))
    async with open_database(url) as opened:
        yield opened


@pytest.fixture(scope="session")
def filled_postgres(new_postgres_database: NewDatabase) -> str:
    url = new_postgres_database()
    database = Database(create_engine(url, Limits()))
    fill(database)
    # A database that has connections cannot be copied.
    database.engine.dispose()
    return url


@pytest.fixture
def stored(database: Database) -> Stored:
    """An assistant, and a thread of one message with a queued run."""
    hello = CreateMessageRequest(role="user", content="Hello")
    with writing(database) as connection:
        assistant = assistants.create(connection, PROJECT, CreateAssistantRequest(model="m", tools=[WEATHER]))
        thread = threads.create(connection, PROJECT, CreateThreadRequest(messages=[hello]))
        spec = RunSpec.of(assistant, CreateRunRequest(assistant_id=assistant.id), 600)
        run = runs.create(connection, PROJECT, thread.id, spec)
    return Stored(assistant.id, thread.id, run.id)


@contextmanager
def recorded(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """The statements that the database is sent in the block, with their parameters."""
    statements: list[tuple[str, Any]] = []

    def record(_: Connection, __: object, statement: str, parameters: Any, *___: object) -> None:
        statements.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(database.engine, "before_cursor_execute", record)
