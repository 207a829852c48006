"""The life signs of a worker, from a thread of their own: an event loop that stands still is no death."""

import asyncio
import logging
import secrets
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from infra.database import workers
from infra.database.connections import Limits, create_engine
from infra.database.outages import reason_of
from infra.processes import ProcessIdentity

INTERVAL = timedelta(seconds=1)
END_TIMEOUT = timedelta(seconds=1)
# One connection, which waits for no other user of a pool, and not long for a database that is busy.
LIMITS = Limits(pool_size=1, statement_timeout=timedelta(seconds=2), busy_timeout=timedelta(seconds=2))

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LivingWorker:
    """`id` is the worker's identity in Temporal: it appears there beside every task that the worker takes."""

    id: str
    process: ProcessIdentity

    @classmethod
    def new(cls) -> "LivingWorker":
        process = ProcessIdentity.own()
        # In containers process id and host may be those of an earlier worker.
        return cls(f"{process.pid}@{socket.gethostname()}:{secrets.token_hex(4)}", process)


@asynccontextmanager
async def giving_life_signs(
    database_url: str, worker: LivingWorker, interval: timedelta = INTERVAL
) -> AsyncIterator[None]:
    """Show in the database that the worker lives, at this interval until the block ends; then it is removed.

    A database that does not answer is tried again at the next interval.
    """
    signs = _LifeSigns(create_engine(database_url, LIMITS), worker)
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(interval.total_seconds()):
            signs.give()
        signs.end()

    await asyncio.to_thread(signs.give)
    thread = threading.Thread(target=live, name="life-signs", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        # A worker that could not be removed is found to be gone, and to hold nothing.
        await asyncio.to_thread(thread.join, END_TIMEOUT.total_seconds())


class _LifeSigns:
    def __init__(self, engine: Engine, worker: LivingWorker) -> None:
        self._engine = engine
        self._worker = worker
        self._given = 0
        self._is_stored = True

    def give(self) -> None:
        self._given += 1
        worker, number = self._worker, self._given
        self._write(lambda connection: workers.give_life_sign(connection, worker.id, worker.process, number))

    def end(self) -> None:
        self._write(lambda connection: workers.remove(connection, self._worker.id))
        self._engine.dispose()

    def _write(self, work: Callable[[Connection], None]) -> None:
        try:
            with self._engine.begin() as connection:
                work(connection)
        except DBAPIError as error:
            if self._is_stored:
                log.warning("worker.life_sign_failed", extra={"worker": self._worker.id, "reason": reason_of(error)})
            self._is_stored = False
        else:
            self._is_stored = True
