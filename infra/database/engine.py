"""Opens the database and hands out transactions, the same way on SQLite and Postgres."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext

from sqlalchemy import text
from sqlalchemy.exc import ArgumentError, DBAPIError, InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from infra.database.connections import SQLITE, Limits, create_engine, parse_url
from infra.database.outages import DatabaseUnavailable, committing, is_outage, outages_translated, reason_of
from infra.database.run_transitions import OnRunTransitions, recorded_transitions
from infra.errors import ConnectionFailed

WHOLE_DATABASE = {"sqlite_begin": "BEGIN IMMEDIATE"}
ONE_STATE = {"isolation_level": "REPEATABLE READ"}


class Database:
    """Sessions on one database. A transaction commits when its block ends and rolls back when the block raises.

    Both kinds raise `DatabaseUnavailable` where the database does not answer.
    """

    def __init__(self, engine: AsyncEngine, on_run_transitions: OnRunTransitions = lambda _: None) -> None:
        """`on_run_transitions` is told after every commit what that did to runs."""
        self.engine = engine
        self._on_run_transitions = on_run_transitions
        is_sqlite = engine.dialect.name == SQLITE
        writing = engine.execution_options(**WHOLE_DATABASE) if is_sqlite else engine
        reading = engine if is_sqlite else engine.execution_options(**ONE_STATE)
        self._reading = async_sessionmaker(reading, expire_on_commit=False)
        self._writing = async_sessionmaker(writing, expire_on_commit=False)
        # SQLite has one writer. Waiting here is fair and wakes at once; its own busy handler sleeps and retries.
        self._write_turn: AbstractAsyncContextManager[None] = asyncio.Lock() if is_sqlite else nullcontext()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that may write. Keep it short: on SQLite it keeps every other writer waiting.

        On Postgres each statement sees what was committed before it (READ COMMITTED). Raises `CommitUnknown` where the
        connection breaks in the commit.
        """
        with outages_translated():
            async with self._write_turn, self._writing() as session:
                yield session
                await session.flush()
                with committing():
                    await session.commit()
            self._on_run_transitions(recorded_transitions(session))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads. It sees one state of the database throughout."""
        with outages_translated():
            async with self._reading() as session:
                yield session

    async def check(self) -> None:
        """Return if the database answers and, where it is Postgres, takes writes. Raises `DatabaseUnavailable`."""
        async with self.reading() as session:
            if self.engine.dialect.name == SQLITE:
                await session.execute(text("SELECT 1"))
            elif await session.scalar(text("SHOW transaction_read_only")) == "on":
                await (await session.connection()).invalidate()
                raise DatabaseUnavailable("it is read-only")


@asynccontextmanager
async def open_database(
    url: str, limits: Limits | None = None, on_run_transitions: OnRunTransitions = lambda _: None
) -> AsyncIterator[Database]:
    """Open the database at `url`, libpq's or SQLAlchemy's. Raises `ConnectionFailed` where it does not answer."""
    with connecting(url):
        engine = create_engine(url, limits or Limits())
    try:
        database = Database(engine, on_run_transitions)
        with connecting(url):
            await database.check()
        yield database
    finally:
        await engine.dispose()


@contextmanager
def connecting(url: str) -> Iterator[None]:
    """Raise `ConnectionFailed` where the block finds that `url` names no database or one that does not answer."""
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
