"""Which failures of statements count as outages, and which as bugs."""

import asyncio
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from infra.database import engine
from infra.database.connections import Limits
from infra.database.engine import Database, open_database
from infra.database.outages import CommitUnknown, DatabaseUnavailable, is_outage
from infra.errors import ConnectionFailed
from tests.conftest import NewDatabase
from tests.database import reading, writing

SHORT = Limits(pool_size=1, statement_timeout=timedelta(milliseconds=500))


async def test_a_slow_statement_is_an_outage(new_postgres_database: NewDatabase) -> None:
    async with open_database(new_postgres_database(), SHORT) as database:
        with pytest.raises(DatabaseUnavailable) as unavailable:
            await execute(database, "SELECT pg_sleep(10)")

        # The connection goes on.
        await database.check()

    assert "statement timeout" in unavailable.value.reason


async def test_a_row_that_stays_locked_is_an_outage(new_postgres_database: NewDatabase) -> None:
    limits = Limits(pool_size=2, statement_timeout=timedelta(milliseconds=500))
    async with open_database(new_postgres_database(), limits) as database:
        with writing(database) as connection:
            connection.execute(text("LOCK TABLE threads"))

            with pytest.raises(DatabaseUnavailable) as unavailable:
                await execute(database, "SELECT * FROM threads")

    assert "lock timeout" in unavailable.value.reason or "statement timeout" in unavailable.value.reason


async def test_a_pool_in_use_is_an_outage(new_postgres_database: NewDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "QUEUE_TIMEOUT", timedelta(milliseconds=50))
    has_begun, may_end = threading.Event(), threading.Event()

    def occupy(_: Connection) -> None:
        has_begun.set()
        may_end.wait()

    async with open_database(new_postgres_database(), SHORT) as database:
        occupying = asyncio.create_task(database.read(occupy))
        await asyncio.to_thread(has_begun.wait)

        with pytest.raises(DatabaseUnavailable) as unavailable:
            await database.check()
        may_end.set()
        await occupying

        await database.check()

    assert unavailable.value.reason == "no connection became free in 0.05 s"


async def test_a_connection_that_breaks_in_the_commit_leaves_its_outcome_unknown(
    new_postgres_database: NewDatabase,
) -> None:
    async with open_database(new_postgres_database(), Limits(pool_size=2)) as database:

        def is_disconnected(connection: Connection) -> None:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
            with writing(database) as other:
                other.execute(text("SELECT pg_terminate_backend(:backend, 5000)"), {"backend": backend})

        with pytest.raises(CommitUnknown):
            await database.write(is_disconnected)

        await database.check()


async def test_a_primary_that_became_a_standby_is_an_outage_and_its_connections_are_closed(
    new_postgres_database: NewDatabase,
) -> None:
    async with open_database(new_postgres_database(), SHORT) as database:
        await _make_read_only(database)
        with pytest.raises(DatabaseUnavailable) as unavailable:
            await execute(database, "CREATE TABLE after_a_failover (id TEXT)")
        # Over a new connection, as to the new primary.
        await execute(database, "CREATE TABLE after_a_failover (id TEXT)")

        await _make_read_only(database)
        with pytest.raises(DatabaseUnavailable, match="does not answer"):
            await database.check()
        await database.check()

    assert "read-only transaction" in unavailable.value.reason


async def _make_read_only(database: Database) -> None:
    await execute(database, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")


async def test_a_full_disk_is_an_outage(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path}/full.db", SHORT) as database:
        await execute(database, "PRAGMA max_page_count = 1")

        with pytest.raises(DatabaseUnavailable) as unavailable:
            await execute(database, "CREATE TABLE too_much (id TEXT)")

    assert unavailable.value.reason == "database or disk is full"


async def test_a_bug_is_no_outage_on_postgres(new_postgres_database: NewDatabase) -> None:
    async with open_database(new_postgres_database()) as database:
        with pytest.raises(ProgrammingError):
            await execute(database, "SELECT * FROM nosuch")


async def test_a_bug_is_no_outage_on_sqlite(tmp_path: Path) -> None:
    async with open_database(f"sqlite:///{tmp_path}/bug.db") as database:
        with pytest.raises(OperationalError, match="no such table"):
            await execute(database, "SELECT * FROM nosuch")


async def test_errors_show_no_values(new_postgres_database: NewDatabase) -> None:
    async with open_database(new_postgres_database()) as database:
        with pytest.raises(ProgrammingError) as failed:
            await execute(database, "SELECT nosuch(:said)", said="secret of the client")

    assert "secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("statement_timeout", "7s"), ("lock_timeout", "7s"), ("idle_in_transaction_session_timeout", "1min")],
)
async def test_connections_have_limits(new_postgres_database: NewDatabase, setting: str, value: str) -> None:
    limits = Limits(statement_timeout=timedelta(seconds=7))
    async with open_database(new_postgres_database(), limits) as database:
        shown = await database.read(lambda connection: connection.scalar(text(f"SHOW {setting}")))

    assert shown == value


async def test_settings_in_the_url_win(new_postgres_database: NewDatabase) -> None:
    url = f"{new_postgres_database()}&options=-c%20statement_timeout%3D7000&application_name=mine"

    async with open_database(url, SHORT) as database:
        with reading(database) as connection:
            assert connection.scalar(text("SHOW statement_timeout")) == "7s"
            assert connection.scalar(text("SHOW lock_timeout")) == "500ms"
            assert connection.scalar(text("SHOW application_name")) == "mine"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
async def test_a_database_is_named_in_any_of_the_usual_ways(new_postgres_database: NewDatabase, scheme: str) -> None:
    url = new_postgres_database().replace("postgresql", scheme, 1)

    async with open_database(url) as database:
        with reading(database) as connection:
            assert connection.scalar(text("SELECT count(*) FROM threads")) == 0


async def test_a_missing_database_is_named_in_the_error(new_postgres_database: NewDatabase) -> None:
    url = new_postgres_database().replace("/holdfast_", "/nosuch_")

    with pytest.raises(ConnectionFailed, match=r'database "nosuch_.*" does not exist'):
        async with open_database(url):
            pass


async def test_a_reader_sees_one_state(database: Database) -> None:
    count = text("SELECT count(*) FROM deleted_items")
    with reading(database) as connection:
        before = connection.scalar(count)
        values = "('x', 'default', 1, 1)"
        await execute(database, f"INSERT INTO deleted_items (id, project_id, seq, deleted_at) VALUES {values}")

        assert connection.scalar(count) == before
    with reading(database) as connection:
        assert connection.scalar(count) == before + 1


async def execute(database: Database, statement: str, **parameters: str) -> None:
    def work(connection: Connection) -> None:
        connection.execute(text(statement), parameters)

    await database.write(work)


def test_a_mistake_in_a_statement_is_no_outage_though_it_has_no_code() -> None:
    assert not is_outage(ProgrammingError("SELECT ?", (), sqlite3.ProgrammingError("Incorrect number of bindings.")))
