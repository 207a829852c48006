"""Transactions on SQLite: writers take its lock at once, readers take none."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from infra.database.connections import Limits
from infra.database.engine import open_database
from infra.database.outages import DatabaseUnavailable
from tests.database import reading, writing

NO_WAIT = Limits(pool_size=1, busy_timeout=timedelta())


def nothing(connection: Connection) -> None:
    pass


def three(connection: Connection) -> int:
    return int(connection.execute(text("SELECT 3")).scalar_one())


async def test_a_write_takes_the_lock_of_writers_from_its_beginning(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/holdfast.db"
    async with open_database(url, NO_WAIT) as first, open_database(url, NO_WAIT) as second:
        with writing(first):
            with pytest.raises(DatabaseUnavailable, match="The database does not answer"):
                await second.write(nothing)

            # On the connection that got no lock, for the pool has one.
            assert await second.read(three) == 3
        await second.write(nothing)


async def test_a_read_is_a_transaction_that_takes_no_lock_of_writers(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/holdfast.db"
    async with open_database(url, NO_WAIT) as first, open_database(url, NO_WAIT) as second:
        await second.write(lambda connection: connection.execute(text("CREATE TABLE numbers (number INTEGER)")))
        with reading(first) as connection:
            assert connection.execute(text("SELECT count(*) FROM numbers")).scalar_one() == 0

            await second.write(lambda connection: connection.execute(text("INSERT INTO numbers VALUES (1)")))

            # The snapshot of the first statement: without a transaction, the new row would be seen.
            assert connection.execute(text("SELECT count(*) FROM numbers")).scalar_one() == 0


async def test_a_statement_of_an_engine_has_no_listeners(tmp_path: Path) -> None:
    # With a single listener of the engine's, SQLAlchemy takes a third more CPU for every statement.
    async with open_database(f"sqlite:///{tmp_path}/holdfast.db") as database:
        assert not database.engine._has_events
