"""Opens the database and hands out transactions, the same way on SQLite and Postgres."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext

from sqlalchemy import event, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from infra.errors import ConnectionFailed

SQLITE_BUSY_TIMEOUT_MS = 30_000
POOL_SIZE = 20


class Database:
    """Sessions on one database. A transaction commits when its block ends and rolls back when the block raises."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        is_sqlite = engine.dialect.name == "sqlite"
        writing = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE") if is_sqlite else engine
        self._reading = async_sessionmaker(engine, expire_on_commit=False)
        self._writing = async_sessionmaker(writing, expire_on_commit=False)
        # SQLite has one writer. Waiting here is fair and wakes at once; its own busy handler sleeps and retries.
        self._write_turn: AbstractAsyncContextManager[None] = asyncio.Lock() if is_sqlite else nullcontext()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that may write. Keep it short: on SQLite it keeps every other writer waiting."""
        async with self._write_turn, self._writing.begin() as session:
            yield session

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads. It sees one state of the database throughout."""
        async with self._reading() as session:
            yield session

    async def check(self) -> None:
        """Return if the database answers; raises SQLAlchemy's error where it does not."""
        async with self.reading() as session:
            await session.execute(text("SELECT 1"))


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Open the database at a SQLAlchemy `url`. Raises `ConnectionFailed` where it does not answer."""
    engine = create_engine(url)
    try:
        database = Database(engine)
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
    except (ArgumentError, ModuleNotFoundError) as error:
        raise ConnectionFailed(f"HOLDFAST_DATABASE_URL names no database that can be opened: {error}.") from error
    except (OperationalError, OSError) as error:
        shown = make_url(url).render_as_string(hide_password=True)
        reason = error.orig if isinstance(error, OperationalError) else error
        raise ConnectionFailed(
            f"The database {shown} does not answer: {reason}. Check HOLDFAST_DATABASE_URL."
        ) from error


def create_engine(url: str) -> AsyncEngine:
    """An engine whose connections behave as Holdfast needs: on SQLite WAL, and `BEGIN` said by us."""
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0, pool_timeout=SQLITE_BUSY_TIMEOUT_MS / 1000)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection, _record) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {SQLITE_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # In WAL mode a crash of the process loses nothing; FULL would add a sync of the disk to every commit.
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _begin_sqlite(connection) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
