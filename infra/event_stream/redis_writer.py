"""Writes events to Redis in the background, those of all runs together: under load in fewer round trips."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.event_stream.bounds import MAX_EVENTS_PER_RUN, MAX_SIZE, size_of
from infra.event_stream.redis_layout import APPEND, PAUSED_CHANNEL, keys_of
from infra.event_stream.redis_outage import COMMAND_TIMEOUT, RedisOutage
from models.events import PAUSES_OR_ENDS, Event

MAX_PIPELINE = 1_000
WRITE_AGAIN_AFTER = timedelta(seconds=0.25)
DRAIN_TIMEOUT = timedelta(seconds=2)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Append:
    run_id: str
    first: int
    events: Sequence[Event]
    fencing_token: int | None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """What one writer says of a run before another one does: number, name and data of each event."""

    run_id: str
    fencing_token: int | None
    numbered: list[str]


class RedisWriter:
    """The queue of what is to be written, bounded by its size, and the task that writes it."""

    def __init__(self, client: Redis, retention: timedelta, outage: RedisOutage) -> None:
        self._client = client
        self._retention_ms = max(1, retention // timedelta(milliseconds=1))
        self._outage = outage
        self._queue: deque[_Append] = deque()
        self._queued_size = 0
        self._changed = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        # Those that have not heard of it yet, and the few that never ask again.
        self._superseded: set[tuple[str, int | None]] = set()

    def append(self, run_id: str, first: int, events: Sequence[Event], fencing_token: int | None) -> bool:
        """Queue the events. False, and nothing queued, where what the writer had queued before was refused."""
        if (run_id, fencing_token) in self._superseded:
            self._superseded.discard((run_id, fencing_token))
            return False
        # Of what waits for a Redis that does not answer, the oldest is left out where it is too much.
        self._queue.append(_Append(run_id, first, events, fencing_token))
        self._queued_size += size_of(events)
        while self._queued_size > MAX_SIZE:
            self._queued_size -= size_of(self._queue.popleft().events)
        self._written.clear()
        self._changed.set()
        return True

    async def drain(self) -> None:
        """Return once what was appended is written, or Redis did not answer for a while."""
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT.total_seconds()):
                await self._written.wait()
        except TimeoutError:
            log.warning("event_stream.not_drained", extra={"appends": len(self._queue)})

    async def run(self) -> None:
        """Write what is appended, until cancelled."""
        while True:
            await self._changed.wait()
            appends = self._next_appends()
            if not appends:
                self._changed.clear()
                self._written.set()
                continue
            try:
                await self._write(appends)
            except (RedisError, OSError, TimeoutError) as error:
                # Of what was sent some may have been written: to write it again does nothing.
                self._outage.go_on(error)
                await asyncio.sleep(WRITE_AGAIN_AFTER.total_seconds())
            except UnicodeEncodeError:
                # Nothing was sent. Without these events readers ask the database; without this task, the process ends.
                log.exception("event_stream.unwritable", extra={"run_ids": sorted({each.run_id for each in appends})})
                self._forget(appends)
            else:
                self._outage.end()
                self._forget(appends)

    def _next_appends(self) -> list[_Append]:
        appends: list[_Append] = []
        size = 0
        for append in self._queue:
            appends.append(append)
            size += len(append.events)
            if size >= MAX_PIPELINE:
                break
        return appends

    def _forget(self, written: list[_Append]) -> None:
        for append in written:
            # The queue may have been cut meanwhile.
            if self._queue and self._queue[0] is append:
                self._queue.popleft()
                self._queued_size -= size_of(append.events)

    async def _write(self, appends: list[_Append]) -> None:
        pipeline = self._client.pipeline(transaction=False)
        stretches = _stretches(appends)
        bounds = (str(self._retention_ms), str(MAX_EVENTS_PER_RUN))
        for stretch in stretches:
            fencing_token = "" if stretch.fencing_token is None else str(stretch.fencing_token)
            pipeline.eval(APPEND, 2, *keys_of(stretch.run_id), *bounds, fencing_token, *stretch.numbered)
        for append in appends:
            if any(event.name in PAUSES_OR_ENDS for event in append.events):
                pipeline.publish(PAUSED_CHANNEL, append.run_id)
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            results = await pipeline.execute(raise_on_error=False)
        for stretch, result in zip(stretches, results, strict=False):
            if isinstance(result, Exception):
                # Full, loading its file, a replica: it may pass.
                raise result
            if not result:
                self._supersede(stretch.run_id, stretch.fencing_token)

    def _supersede(self, run_id: str, fencing_token: int | None) -> None:
        """Write nothing more of this writer: another one is ahead. It hears of it if it goes on."""
        log.info("event_stream.refused", extra={"run_id": run_id})
        if fencing_token is None:
            return
        self._superseded.add((run_id, fencing_token))
        kept = [append for append in self._queue if (append.run_id, append.fencing_token) != (run_id, fencing_token)]
        self._queue = deque(kept)
        self._queued_size = sum(size_of(append.events) for append in kept)


def _stretches(appends: Sequence[_Append]) -> list[_Stretch]:
    """Those of all runs, each run's in their order."""
    stretches: list[_Stretch] = []
    last: dict[str, _Stretch] = {}
    for append in appends:
        stretch = last.get(append.run_id)
        if stretch is None or stretch.fencing_token != append.fencing_token:
            stretch = last[append.run_id] = _Stretch(append.run_id, append.fencing_token, [])
            stretches.append(stretch)
        for number, event in enumerate(append.events, append.first):
            stretch.numbered.extend((str(number), event.name, event.data))
    return stretches
