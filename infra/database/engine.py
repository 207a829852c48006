"""Opens the database and runs units of work on it, the same way on SQLite and Postgres.

A unit of work is a plain function of a `Connection`. It runs in a thread, in one transaction: one hop for all of its
statements. A unit of work that has begun is committed or rolled back, even if the task that awaits it is cancelled.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from datetime import timedelta
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError

from infra.database.connections import SQLITE, Limits, begin_writing, create_engine, parse_url
from infra.database.outages import DatabaseUnavailable, committing, is_outage, outages_translated, reason_of
from infra.database.run_transitions import OnRunTransitions, recording_transitions
from infra.errors import ConnectionFailed

SNAPSHOT = {"isolation_level": "REPEATABLE READ"}

SQLITE_READERS = 4
QUEUE_TIMEOUT = timedelta(seconds=30)
"""The longest wait of a unit of work for a thread; after it the database counts as unavailable."""

P = ParamSpec("P")
Result = TypeVar("Result")

_READ_ONLY = text("SHOW transaction_read_only")
_ANYTHING = text("SELECT 1")


class Database:
    """Runs units of work in threads. SQLite has one writer, and a few readers beside it; Postgres a pool for both.

    Reads and writes raise `DatabaseUnavailable` if the database does not answer, and the errors of the work.
    """

    def __init__(
        self, engine: Engine, threads: int = SQLITE_READERS, on_run_transitions: OnRunTransitions = lambda _: None
    ) -> None:
        """`on_run_transitions` is called after every commit, in its thread, with the transaction's run transitions."""
        self.engine = engine
        self._on_run_transitions = on_run_transitions
        is_sqlite = engine.dialect.name == SQLITE
        self._reading = engine if is_sqlite else engine.execution_options(**SNAPSHOT)
        self._readers = ThreadPoolExecutor(threads, "database")
        # SQLite has one writer. Waits for a thread are fair and end at once; SQLite's busy handler sleeps and retries.
        self._writers = ThreadPoolExecutor(1, "database-writer") if is_sqlite else self._readers

    async def write(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run `work` in a transaction that may write, and commit it. Returns what `work` returns.

        Keep it short: on SQLite it blocks every other writer. On Postgres each statement sees earlier commits (READ
        COMMITTED). Raises `CommitUnknown` if the connection breaks during the commit.
        """
        return await self._in_thread(
            self._writers, lambda: self._write(lambda connection: work(connection, *args, **kwargs))
        )

    async def read(
        self, work: Callable[Concatenate[Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Run `work`, which only reads, on one snapshot of the database. Returns what `work` returns."""
        return await self._in_thread(
            self._readers, lambda: self._read(lambda connection: work(connection, *args, **kwargs))
        )

    async def check(self) -> None:
        """Return if the database answers and, if it is Postgres, accepts writes. Raises `DatabaseUnavailable`."""
        await self.read(_check)

    def close(self) -> None:
        """Wait for the units of work that have begun, and close all connections."""
        for pool in (self._writers, self._readers):
            pool.shutdown(cancel_futures=True)
        self.engine.dispose()

    def _write(self, work: Callable[[Connection], Result]) -> Result:
        with outages_translated():
            with self.engine.connect() as connection:
                begin_writing(connection)
                transitions = recording_transitions(connection)
                result = work(connection)
                with committing():
                    connection.commit()
            if transitions:
                self._on_run_transitions(transitions)
        return result

    def _read(self, work: Callable[[Connection], Result]) -> Result:
        with outages_translated(), self._reading.connect() as connection:
            return work(connection)

    async def _in_thread(self, pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        # The context has the ids of the request and the run for log lines.
        future: Future[Result] = pool.submit(copy_context().run, work)
        has_waited_too_long = False

        def give_up() -> None:
            nonlocal has_waited_too_long
            # Only work that has not begun can be cancelled.
            has_waited_too_long = future.cancel()

        timer = asyncio.get_running_loop().call_later(QUEUE_TIMEOUT.total_seconds(), give_up)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            if not has_waited_too_long:
                raise
            raise DatabaseUnavailable(f"no connection became free in {QUEUE_TIMEOUT.total_seconds():g} s") from None
        finally:
            timer.cancel()


def _check(connection: Connection) -> None:
    if connection.dialect.name == SQLITE:
        connection.execute(_ANYTHING)
    elif connection.scalar(_READ_ONLY) == "on":
        connection.invalidate()
        raise DatabaseUnavailable("it is read-only")


@asynccontextmanager
async def open_database(
    url: str, limits: Limits | None = None, on_run_transitions: OnRunTransitions = lambda _: None
) -> AsyncIterator[Database]:
    """Open the database at `url`, libpq's or SQLAlchemy's. Raises `ConnectionFailed` if it does not answer."""
    limits = limits or Limits()
    with connecting(url):
        engine = create_engine(url, limits)
    threads = SQLITE_READERS if engine.dialect.name == SQLITE else limits.pool_size
    database = Database(engine, threads, on_run_transitions)
    try:
        with connecting(url):
            await database.check()
        yield database
    finally:
        await asyncio.to_thread(database.close)


@contextmanager
def connecting(url: str) -> Iterator[None]:
    """Raise `ConnectionFailed` if the block finds that `url` names no database or one that does not answer."""
    try:
        yield
    except (ArgumentError, InvalidRequestError, ModuleNotFoundError) as error:
        raise ConnectionFailed(f"HOLDFAST_DATABASE_URL names no database that can be opened: {error}.") from error
    except (DatabaseUnavailable, DBAPIError, OSError) as error:
        if isinstance(error, DBAPIError) and not is_outage(error):
            raise
        shown = parse_url(url).render_as_string(hide_password=True)
        raise ConnectionFailed(
            f"The database {shown} does not answer: {_reason(error)}. Check HOLDFAST_DATABASE_URL."
        ) from error


def _reason(error: DatabaseUnavailable | DBAPIError | OSError) -> str:
    match error:
        case DatabaseUnavailable():
            return error.reason
        case DBAPIError():
            return reason_of(error)
        case _:
            return str(error)
