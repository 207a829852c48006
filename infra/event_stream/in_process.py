"""The `EventStream` port within one process: for `holdfast up`, where API and worker share it."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta

from infra.event_stream.bounds import MAX_EVENTS_PER_RUN, MAX_SIZE, size_of
from infra.event_stream.waiters import Waiters
from infra.ports import NO_EVENTS, EventBatch
from models.events import PAUSES_OR_ENDS, Event


@dataclass(slots=True)
class _Log:
    first: int
    last_append: float
    events: list[Event] = field(default_factory=list)
    fencing_token: int = 0

    @property
    def following(self) -> int:
        return self.first + len(self.events)


class InProcessEventStream:
    """A reader keeps only a number: events are kept once for all readers, and for a limited time."""

    def __init__(self, retention: timedelta) -> None:
        self._retention_seconds = retention.total_seconds()
        # In the order of their last appends.
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        self._readers = Waiters()
        self._awaiting = Waiters()
        self._size = 0

    async def append(self, run_id: str, first: int, events: Sequence[Event], fencing_token: int | None = None) -> bool:
        log = self._log(run_id, first)
        if first < log.following or (fencing_token is not None and fencing_token < log.fencing_token):
            return False
        if first > log.following:
            # The events between are lost here. A batch without them would hide the gap from readers.
            self._size -= size_of(log.events)
            log.first, log.events = first, []
        log.events += events
        self._size += size_of(events)
        self._trim(log)
        self._readers.notify(run_id)
        if any(event.name in PAUSES_OR_ENDS for event in events):
            self._awaiting.notify(run_id)
        return True

    async def flush(self, run_id: str) -> None:
        """Appended events are in the stream at once."""

    async def fence(self, run_id: str, fencing_token: int) -> int:
        log = self._log(run_id, first=0)
        log.fencing_token = max(log.fencing_token, fencing_token)
        return log.following

    async def read(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        batch = self._batch(run_id, after, limit)
        if batch.events or not wait:
            return batch
        with self._readers.of(run_id) as appended:
            await asyncio.wait({appended}, timeout=wait.total_seconds())
        return self._batch(run_id, after, limit)

    async def following(self, run_id: str) -> int:
        log = self._logs.get(run_id)
        return log.following if log else 0

    async def announce(self, run_id: str) -> None:
        self._awaiting.notify(run_id)

    def awaiting(self, run_id: str) -> AbstractContextManager[asyncio.Future[None]]:
        return self._awaiting.of(run_id)

    def forget_all(self) -> None:
        """Drop every event, as the end of the process does."""
        self._logs.clear()
        self._size = 0

    def _batch(self, run_id: str, after: int, limit: int) -> EventBatch:
        log = self._logs.get(run_id)
        if log is None or log.following <= after + 1:
            return NO_EVENTS
        begin = max(after + 1, log.first)
        return EventBatch(begin, log.events[begin - log.first : begin - log.first + limit])

    def _log(self, run_id: str, first: int) -> _Log:
        now = asyncio.get_running_loop().time()
        log = self._logs.get(run_id)
        if log is None:
            log = self._logs[run_id] = _Log(first, now)
        log.last_append = now
        self._logs.move_to_end(run_id)
        self._forget_others(now - self._retention_seconds)
        return log

    def _forget_others(self, before: float) -> None:
        """Drop runs without an append since `before`, and as many more as it takes to keep to the size."""
        while len(self._logs) > 1:
            run_id, oldest = next(iter(self._logs.items()))
            if oldest.last_append > before and self._size < MAX_SIZE:
                return
            del self._logs[run_id]
            self._size -= size_of(oldest.events)

    def _trim(self, log: _Log) -> None:
        # Many at a time, as each trim copies the rest. By size only the last log: others are dropped whole before.
        surplus = len(log.events) // 2 if self._size >= MAX_SIZE and len(self._logs) == 1 else 0
        if len(log.events) > 2 * MAX_EVENTS_PER_RUN:
            surplus = MAX_EVENTS_PER_RUN
        if surplus:
            self._size -= size_of(log.events[:surplus])
            del log.events[:surplus]
            log.first += surplus
