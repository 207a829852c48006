"""A transaction of the suite that blocks every commit of a run while other writers arrive and wait."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psycopg

from tests.chaos.patience import until

# SQLite does not report the waiters for its lock.
LOCK_REACHED_SECONDS = 0.5

UntilOthersWait = Callable[[int], Awaitable[None]]
"""Waits until that many writers are blocked."""

WritesHeld = Callable[[], AbstractAsyncContextManager[UntilOthersWait]]


def sqlite_writes_held(database: Path) -> WritesHeld:
    @asynccontextmanager
    async def held() -> AsyncIterator[UntilOthersWait]:
        connection = sqlite3.connect(database, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
            yield lambda _: asyncio.sleep(LOCK_REACHED_SECONDS)
        finally:
            connection.close()

    return held


def postgres_writes_held(url: str) -> WritesHeld:
    @asynccontextmanager
    async def held() -> AsyncIterator[UntilOthersWait]:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("LOCK TABLE runs IN SHARE ROW EXCLUSIVE MODE")

            async def until_others_wait(count: int) -> None:
                async def wait() -> bool:
                    found = await connection.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                    row = await found.fetchone()
                    return row is not None and row[0] >= count

                await until(wait, "nobody waits for the lock")

            yield until_others_wait
            await connection.rollback()

    return held
