"""Transactions in the test's own thread, to prepare and inspect a database, and two that overlap."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Connection, text

from infra.database.connections import SQLITE, begin_writing
from infra.database.engine import SNAPSHOT, Database
from infra.database.migrations import migrate
from infra.database.run_transitions import recording_transitions

WAITS_FOR_LOCK = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
Work = Callable[[Connection], Any]


@contextmanager
def writing(database: Database) -> Iterator[Connection]:
    """A transaction that is committed at the block's end, and rolled back if the block raises."""
    with database.engine.connect() as connection:
        begin_writing(connection)
        recording_transitions(connection)
        yield connection
        connection.commit()


@contextmanager
def reading(database: Database) -> Iterator[Connection]:
    options = {} if database.engine.dialect.name == SQLITE else SNAPSHOT
    with database.engine.execution_options(**options).connect() as connection:
        yield connection


async def overlap(database: Database, first: Work, second: Work) -> Any:
    """Begin `second` before `first` commits, on Postgres. Returns the result or the error of `second`, which waits."""
    with writing(database) as connection:
        first(connection)
        overlapping = asyncio.create_task(database.write(second))
        async with asyncio.timeout(10):
            # Each time in a transaction of its own: within one, Postgres shows what it showed at first.
            while not await database.read(waiting_for_locks):
                assert not overlapping.done(), "it did not wait"
    return (await asyncio.gather(overlapping, return_exceptions=True))[0]


async def beside(database: Database, first: Work, second: Work) -> Any:
    """Run `second` to its end before `first` commits, on Postgres, which it must not wait for. Returns its result."""
    with writing(database) as connection:
        first(connection)
        async with asyncio.timeout(5):
            return await database.write(second)


def waiting_for_locks(connection: Connection) -> int:
    """How many connections of the database wait for a lock now."""
    return int(connection.scalar(text(WAITS_FOR_LOCK)) or 0)


def new_sqlite_database(folder: Path) -> str:
    """The URL of an empty, migrated database."""
    file = folder / "holdfast.db"
    file.write_bytes(migrated_sqlite())
    return f"sqlite:///{file}"


@cache
def migrated_sqlite() -> bytes:
    """A migrated file: a copy takes a fiftieth of the time of the migrations."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "holdfast.db"
        migrate(f"sqlite:///{file}")
        assert [each.name for each in Path(folder).iterdir()] == [file.name]
        return file.read_bytes()
