"""When the database does not answer: told apart from a bug, and from a commit whose outcome nobody knows."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# SQLite has one class for these and for bugs such as a missing table.
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
    """The database does not answer, or not in time. Nothing was stored; later it may work.

    `reason` is the database's own words, for the log; `str()` names no host, statement or value.
    """

    text = "The database does not answer."

    def __init__(self, reason: str) -> None:
        super().__init__(self.text)
        self.reason = reason


class CommitUnknown(DatabaseUnavailable):
    """The connection broke in the commit: everything was stored, or nothing."""

    text = "The connection to the database broke in a commit."


@contextmanager
def outages_translated() -> Iterator[None]:
    """Raise `DatabaseUnavailable` for what is no fault of the statement that met it; a bug stays what it is."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if not is_outage(error):
            raise
        raise DatabaseUnavailable(reason_of(error)) from error


@contextmanager
def committing() -> Iterator[None]:
    """Raise `CommitUnknown` where the connection breaks in the block, which does nothing but commit."""
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
        # Errors of the driver itself, a wrong number of parameters, have no code.
        return getattr(error.orig, "sqlite_errorcode", 0) & PRIMARY_ERROR_CODE in PASSING_SQLITE_ERRORS
    # Of Postgres: no connection, shutting down, too many connections, a full disk, a time limit, a deadlock.
    return isinstance(error, OperationalError)


def reason_of(error: DBAPIError | PoolTimeout) -> str:
    """One line."""
    return " ".join(str(error.orig if isinstance(error, DBAPIError) else error).split())
