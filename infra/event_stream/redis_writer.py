"""Writes events to Redis in the background, those of all runs together: under load in fewer round trips."""

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from infra.event_stream.bounds import EVENT_OVERHEAD, MAX_EVENTS_PER_RUN, MAX_SIZE, size_of
from infra.event_stream.redis_layout import APPEND, PAUSED_CHANNEL, keys_of
from infra.event_stream.redis_outage import COMMAND_TIMEOUT, RedisOutage
from models.events import PAUSES_OR_ENDS, Event

MAX_PIPELINE = 1_000
TWO_KEYS = "2"
WRITE_AGAIN_AFTER = timedelta(seconds=0.25)
FLUSH_TIMEOUT = timedelta(seconds=1)
DRAIN_TIMEOUT = timedelta(seconds=2)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Append:
    run_id: str
    first: int
    events: Sequence[Event]
    fencing_token: int | None
    settled: asyncio.Future[None]
    """Done once the events are written, rejected or dropped."""

    @property
    def size(self) -> int:
        return size_of(self.events) or EVENT_OVERHEAD


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Consecutive events of a run with one fencing token: number, name and data of each event."""

    run_id: str
    fencing_token: int | None
    numbered: list[str]


class RedisWriter:
    """The queue of appends, bounded by its size, and the task that writes them."""

    def __init__(self, client: Redis, retention: timedelta, outage: RedisOutage) -> None:
        self._pool = client.connection_pool
        self._connection: AbstractConnection | None = None
        self._retention_ms = max(1, retention // timedelta(milliseconds=1))
        self._outage = outage
        self._is_failing = False
        self._queue: deque[_Append] = deque()
        self._queued_size = 0
        self._being_written: Sequence[_Append] = ()
        self._last_of: dict[str, _Append] = {}
        self._changed = asyncio.Event()
        # Rejected attempts whose next append has not reported it yet, and the few that make no other append.
        self._superseded: set[tuple[str, int | None]] = set()

    def append(self, run_id: str, first: int, events: Sequence[Event], fencing_token: int | None) -> bool:
        """Queue the events. False, and nothing queued, where an earlier append with this token was rejected.

        Without events, only those that await the run are notified, once for all that is queued.
        """
        if (run_id, fencing_token) in self._superseded:
            self._superseded.discard((run_id, fencing_token))
            return False
        if not events and self._is_announced(run_id):
            return True
        settled = asyncio.get_running_loop().create_future()
        append = self._last_of[run_id] = _Append(run_id, first, events, fencing_token, settled)
        self._queue.append(append)
        self._queued_size += append.size
        # While Redis does not answer, the oldest events are dropped to keep to the size.
        while self._queued_size > MAX_SIZE:
            self._forget([self._queue[0]])
        self._changed.set()
        return True

    async def flush(self, run_id: str) -> None:
        """Return once the run's events appended so far are in Redis; at once where Redis is known to be away."""
        marker = self._last_of.get(run_id)
        if marker and not self._is_failing:
            await self._until_settled(marker, FLUSH_TIMEOUT)

    async def drain(self) -> None:
        """Return once the events of all runs appended so far are in Redis, or it has not answered for a while."""
        if self._queue:
            await self._until_settled(self._queue[-1], DRAIN_TIMEOUT)

    async def run(self) -> None:
        """Write appended events, until cancelled."""
        while True:
            await self._changed.wait()
            appends = self._next_appends()
            if not appends:
                self._changed.clear()
                continue
            try:
                await self._write(appends)
            except (RedisError, OSError, TimeoutError) as error:
                # Some events may have been written. To write them again does nothing.
                self._is_failing = True
                self._outage.go_on(error)
                await asyncio.sleep(WRITE_AGAIN_AFTER.total_seconds())
            except UnicodeEncodeError:
                # Nothing was sent. Without these events readers ask the database; without this task, the process ends.
                log.exception("event_stream.unwritable", extra={"run_ids": sorted({each.run_id for each in appends})})
                self._forget(appends)
            else:
                self._is_failing = False
                self._outage.end()
                self._forget(appends)

    def _is_announced(self, run_id: str) -> bool:
        # A notification that is being written may have been received, and the run read, before this change.
        last = self._last_of.get(run_id)
        return last is not None and not last.events and last not in self._being_written

    async def _until_settled(self, marker: _Append, limit: timedelta) -> None:
        await asyncio.wait({marker.settled}, timeout=limit.total_seconds())
        if not marker.settled.done():
            log.warning("event_stream.not_drained", extra={"run_id": marker.run_id, "appends": len(self._queue)})

    def _next_appends(self) -> list[_Append]:
        appends: list[_Append] = []
        size = 0
        for append in self._queue:
            appends.append(append)
            size += len(append.events) or 1
            if size >= MAX_PIPELINE:
                break
        return appends

    def _forget(self, appends: Iterable[_Append]) -> None:
        for append in appends:
            # The queue may have been cut meanwhile.
            if self._queue and self._queue[0] is append:
                self._queue.popleft()
                self._queued_size -= append.size
                self._settle(append)

    def _settle(self, append: _Append) -> None:
        append.settled.set_result(None)
        if self._last_of.get(append.run_id) is append:
            del self._last_of[append.run_id]

    async def _write(self, appends: list[_Append]) -> None:
        commands: list[tuple[str, ...]] = []
        stretches = _stretches(appends)
        bounds = (str(self._retention_ms), str(MAX_EVENTS_PER_RUN))
        for stretch in stretches:
            fencing_token = "" if stretch.fencing_token is None else str(stretch.fencing_token)
            keys = keys_of(stretch.run_id)
            commands.append(("EVAL", APPEND, TWO_KEYS, *keys, *bounds, fencing_token, *stretch.numbered))
        for append in appends:
            if not append.events or any(event.name in PAUSES_OR_ENDS for event in append.events):
                commands.append(("PUBLISH", PAUSED_CHANNEL, append.run_id))
        self._being_written = appends
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                results = await self._execute(commands)
        finally:
            self._being_written = ()
        for stretch, result in zip(stretches, results, strict=False):
            if isinstance(result, Exception):
                # Redis is full, loads its file or is a replica: this may pass.
                raise result
            if not result:
                self._supersede(stretch.run_id, stretch.fencing_token)

    async def _execute(self, commands: Sequence[tuple[str, ...]]) -> list[Any]:
        """The answer to each command, or its error. The connection is the writer's own: a pipeline, which takes one of
        the pool each time, takes more than twice the CPU.
        """
        connection = await self._connected()
        packed = connection.pack_commands(commands)
        try:
            await connection.send_packed_command(packed, check_health=False)
            return [await _answer(connection) for _ in commands]
        except BaseException:
            # Answers that are still to come would be taken for those to the next commands.
            await connection.disconnect(nowait=True)
            raise

    async def _connected(self) -> AbstractConnection:
        if self._connection is None:
            self._connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        else:
            # Connects again after an error.
            await self._pool.ensure_connection(self._connection)
        return self._connection

    def _supersede(self, run_id: str, fencing_token: int | None) -> None:
        """Write nothing more with this token. The attempt's next append reports it."""
        log.info("event_stream.refused", extra={"run_id": run_id})
        if fencing_token is None:
            return
        self._superseded.add((run_id, fencing_token))
        queued, self._queue = self._queue, deque()
        self._queued_size = 0
        for append in queued:
            if (append.run_id, append.fencing_token) == (run_id, fencing_token):
                self._settle(append)
            else:
                self._queue.append(append)
                self._queued_size += append.size


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error


def _stretches(appends: Sequence[_Append]) -> list[_Stretch]:
    """The stretches of all runs, each run's in their order."""
    stretches: list[_Stretch] = []
    last: dict[str, _Stretch] = {}
    for append in appends:
        if not append.events:
            continue
        stretch = last.get(append.run_id)
        if stretch is None or stretch.fencing_token != append.fencing_token:
            stretch = last[append.run_id] = _Stretch(append.run_id, append.fencing_token, [])
            stretches.append(stretch)
        for number, event in enumerate(append.events, append.first):
            stretch.numbered.extend((str(number), event.name, event.data))
    return stretches
