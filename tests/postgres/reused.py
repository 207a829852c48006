"""Migrated databases that are emptied for the next test: a new one is several hundred files."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg.errors import LockNotAvailable

from infra.database.tables import ALL_TABLES

LOCK_TIMEOUT_MS = 5_000


class ReusedDatabases:
    """`new` makes one. For one thread at a time."""

    def __init__(self, new: Callable[[], str]) -> None:
        self._new = new
        self._unused: list[str] = []

    @contextmanager
    def lend(self) -> Iterator[str]:
        """An empty database that no other block has. Yields its URL."""
        url = self._unused.pop() if self._unused else self._new()
        yield url
        if _emptied(url):
            self._unused.append(url)


def _emptied(url: str) -> bool:
    try:
        with psycopg.connect(url) as connection:
            connection.execute(f"SET lock_timeout = {LOCK_TIMEOUT_MS}".encode())
            for table in ALL_TABLES.sorted_tables:
                connection.execute(f"DELETE FROM {table.name}".encode())
    except LockNotAvailable:
        # Of a process that the test killed or stopped.
        return False
    return True
