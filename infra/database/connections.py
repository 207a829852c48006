"""Connections to each kind of database: driver, time limits, and the settings of a new connection."""

import select
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy import create_engine as create_sqlalchemy_engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import PoolProxiedConnection

POSTGRES, SQLITE = "postgresql", "sqlite"
DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "sqlite": "sqlite+pysqlite",
    # The driver of earlier versions, which settings may still name.
    "sqlite+aiosqlite": "sqlite+pysqlite",
}
"""The full names of URLs without a driver; hosting providers write `postgres`."""

POOL_TIMEOUT = timedelta(seconds=30)
SQLITE_BUSY_TIMEOUT = timedelta(seconds=30)
# One thread at a time uses a pooled connection, but not always the same one.
SQLITE_ARGUMENTS = {"check_same_thread": False}

CONNECT_TIMEOUT = timedelta(seconds=5)
LOCK_TIMEOUT = timedelta(seconds=10)
"""Transactions are short: a wait this long for a row is a wait for a transaction that hangs."""
IDLE_IN_TRANSACTION_TIMEOUT = timedelta(minutes=1)
"""Postgres ends the transaction of a process that stopped during it, and releases its locks."""
KEEPALIVE: dict[str, int] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    # Milliseconds until a statement fails that was sent over a lost connection.
    "tcp_user_timeout": 30_000,
}
IS_POOLED = "holdfast_is_pooled"
BEGINS_WITH = "holdfast_begins_with"
READ_ONLY_TRANSACTION = "25006"


@dataclass(frozen=True)
class Limits:
    """The limits of one process's connections. Postgres applies `statement_timeout`; None: no limit.

    `busy_timeout` is the longest wait for SQLite's lock.
    """

    pool_size: int = 20
    statement_timeout: timedelta | None = timedelta(seconds=15)
    busy_timeout: timedelta = SQLITE_BUSY_TIMEOUT


MIGRATING = Limits(pool_size=1, statement_timeout=None)


def create_engine(url: str, limits: Limits) -> Engine:
    """An engine whose connections behave as Holdfast needs.

    On SQLite: WAL, and explicit `BEGIN`. On Postgres: time limits, and no pooled connection that the server has closed.
    """
    parsed = parse_url(url)
    engine = create_sqlalchemy_engine(
        parsed,
        connect_args=_postgres_arguments(parsed, limits) if parsed.get_backend_name() == POSTGRES else SQLITE_ARGUMENTS,
        pool_size=limits.pool_size,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT.total_seconds(),
        # Texts of clients and models must not appear in logs and errors.
        hide_parameters=True,
    )
    if engine.dialect.name == SQLITE:
        event.listen(engine, "connect", lambda connection, _: _prepare_sqlite(connection, limits.busy_timeout))
        # Not a listener of the engine: with a single one, SQLAlchemy takes a third more CPU for every statement.
        engine.dialect.do_begin = _begin_sqlite  # type: ignore[method-assign]
    else:
        event.listen(engine, "checkin", _note_pooled)
        event.listen(engine, "checkout", _refuse_closed)
        event.listen(engine, "handle_error", _leave_read_only)
    return engine


def begin_writing(connection: Connection) -> None:
    """Begin a transaction that may write. On SQLite it takes the lock of writers, and waits for it if need be."""
    if connection.dialect.name == SQLITE:
        connection.connection.info[BEGINS_WITH] = "BEGIN IMMEDIATE"
    connection.begin()


def parse_url(url: str) -> URL:
    """The URL with its driver. Raises SQLAlchemy's `ArgumentError` for an invalid one."""
    parsed = make_url(url)
    return parsed.set(drivername=DRIVERS.get(parsed.drivername, parsed.drivername))


def _postgres_arguments(url: URL, limits: Limits) -> dict[str, Any]:
    # Parameters of the URL come after ours and override them.
    given = {name: url.query[name] for name in url.query if name != "options"}
    options = [_options(limits), *_listed(url.query.get("options", ()))]
    return {
        "application_name": "holdfast",
        "connect_timeout": int(CONNECT_TIMEOUT.total_seconds()),
        # Of several hosts the primary. A standby is refused, also if it is the only host after a failover.
        "target_session_attrs": "read-write",
        **KEEPALIVE,
        **given,
        "options": " ".join(options),
    }


def _options(limits: Limits) -> str:
    settings = {"idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT}
    if limits.statement_timeout is not None:
        settings["statement_timeout"] = limits.statement_timeout
        settings["lock_timeout"] = min(LOCK_TIMEOUT, limits.statement_timeout)
    return " ".join(f"-c {name}={limit // timedelta(milliseconds=1)}" for name, limit in settings.items())


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _prepare_sqlite(connection: Any, busy_timeout: timedelta) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {busy_timeout // timedelta(milliseconds=1)}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # In WAL mode a crash of the process loses nothing; FULL would add a sync of the disk to every commit.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin_sqlite(dbapi_connection: PoolProxiedConnection) -> None:
    # The driver itself begins no transaction: its `isolation_level` is None.
    driver: Any = dbapi_connection.driver_connection
    driver.execute(dbapi_connection.info.pop(BEGINS_WITH, "BEGIN"))


def _note_pooled(_connection, record) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    record.info[IS_POOLED] = True


def _refuse_closed(connection, record, _proxy) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    # A server that closes a pooled connection leaves a message on it. This check of the socket costs microseconds;
    # SQLAlchemy's `pool_pre_ping` costs every transaction a round trip.
    if record.info.pop(IS_POOLED, False) and _has_unread_bytes(connection):
        raise InvalidatePoolError


def _leave_read_only(context) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    # A primary that became a standby: its connections stay open, and every write on them would fail.
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True


def _has_unread_bytes(connection) -> bool:  # type: ignore[no-untyped-def]  # noqa: ANN001
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))
