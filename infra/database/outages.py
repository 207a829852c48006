"""Outages of the database, as distinct from bugs, and from commits with an unknown outcome."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# SQLite's errors of this class include bugs, such as a missing table.
PASSING_SQLITE_ERRORS = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)
PRIMARY_ERROR_CODE = 0xFF


class DatabaseUnavailable(Exception):
    """The database does not answer, or not in time. Nothing was stored; a later attempt may succeed.

    `reason` is the database's own text, for the log; `str()` names no host, statement or value.
    """

    text = "The database does not answer."

    def __init__(self, reason: str) -> None:
        super().__init__(self.text)
        self.reason = reason


class CommitUnknown(DatabaseUnavailable):
    """The connection broke during the commit: everything was stored, or nothing."""

    text = "The connection to the database broke in a commit."


@contextmanager
def outages_translated() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for errors that are no fault of the statement; a bug is raised unchanged."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if not is_outage(error):
            raise
        raise DatabaseUnavailable(reason_of(error)) from error


@contextmanager
def committing() -> Iterator[None]:
    """Raise `CommitUnknown` if the connection breaks in the block, which only commits."""
    try:
        yield
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise CommitUnknown(reason_of(error)) from error


def is_outage(error: DBAPIError | PoolTimeout) -> bool:
    if isinstance(error, PoolTimeout) or error.connection_invalidated:
        return True
    if isinstance(error.orig, sqlite3.Error):
        # Errors of the driver itself, such as a wrong number of parameters, have no code.
        return getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY_ERROR_CODE in PASSING_SQLITE_ERRORS
    # On Postgres: no connection, shutdown, too many connections, a full disk, a time limit, a deadlock.
    return isinstance(error, OperationalError)


def reason_of(error: DBAPIError | PoolTimeout) -> str:
    """The reason in one line."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
