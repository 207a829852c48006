"""Transactions in the test's own thread, to prepare and inspect a database."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from infra.database.connections import SQLITE
from infra.database.engine import SNAPSHOT, WRITE_LOCK, Database
from infra.database.run_transitions import recording_transitions


@contextmanager
def writing(database: Database) -> Iterator[Connection]:
    """A transaction that is committed at the block's end, and rolled back if the block raises."""
    options = WRITE_LOCK if database.engine.dialect.name == SQLITE else {}
    with database.engine.execution_options(**options).connect() as connection:
        recording_transitions(connection)
        yield connection
        connection.commit()


@contextmanager
def reading(database: Database) -> Iterator[Connection]:
    options = {} if database.engine.dialect.name == SQLITE else SNAPSHOT
    with database.engine.execution_options(**options).connect() as connection:
        yield connection
