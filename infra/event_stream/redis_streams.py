"""The `EventStream` port over Redis Streams (Redis or Valkey): for API and worker as processes of their own.

A run is one stream; the event with number n has the id `1-n`, so that Redis itself refuses a second writer. That a run
rests is published as well: who waits for nothing else needs neither a connection nor the events before.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError, ResponseError

from infra.background import beside
from infra.errors import ConnectionFailed
from infra.event_stream.bounds import MAX_EVENTS_PER_RUN, MAX_SIZE, size_of
from infra.event_stream.waiters import Waiters
from infra.ports import NO_EVENTS, EventBatch
from models.events import RESTS, Event

RESTING = "holdfast:resting"
"""The channel on which the ids of runs that rest are published."""

MAX_PIPELINE = 1_000
MAX_CONNECTIONS = 10_000
"""As many as Redis itself takes by default: each reader that waits for its run's next event has one."""

CONNECT_TIMEOUT = timedelta(seconds=5)
TIMED_OUT = f"no answer within {CONNECT_TIMEOUT.seconds} s"
COMMAND_TIMEOUT = timedelta(seconds=5)
WRITE_AGAIN_AFTER = timedelta(seconds=0.25)
READ_AGAIN_AFTER = timedelta(seconds=1)
"""Until then readers ask the database: not too often, for they may be many."""

PING_AFTER = timedelta(seconds=2)
"""A connection that is gone without a word would have poll helpers wait for news that cannot come."""

DRAIN_TIMEOUT = timedelta(seconds=2)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Append:
    run_id: str
    first: int
    events: Sequence[Event]


@asynccontextmanager
async def open_redis_event_stream(url: str, retention: timedelta) -> AsyncIterator["RedisEventStream"]:
    """Raises `ConnectionFailed` where `url` is none of Redis or does not answer."""
    try:
        client = Redis.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            socket_connect_timeout=CONNECT_TIMEOUT.total_seconds(),
            # A read that blocks on purpose says so itself.
            socket_timeout=None,
            socket_keepalive=True,
        )
    except ValueError as error:
        raise ConnectionFailed(f"HOLDFAST_EVENT_STREAM_URL cannot be used: {error}.") from error
    stream = RedisEventStream(client, retention)
    async with client:
        await stream.check()
        async with beside(stream.write()), beside(stream.listen()):
            await stream.until_listening()
            yield stream
            await stream.drain()


class RedisEventStream:
    """Appends are queued and written in the background, those of all runs together: under load in fewer round trips."""

    def __init__(self, client: Redis, retention: timedelta) -> None:
        self._client = client
        self._retention_ms = max(1, retention // timedelta(milliseconds=1))
        self._queue: deque[_Append] = deque()
        self._queued_size = 0
        self._changed = asyncio.Event()
        self._written = asyncio.Event()
        self._written.set()
        self._overtaken: set[str] = set()
        self._is_down = False
        self._awaiting = Waiters()
        self._listens = asyncio.Event()

    async def check(self) -> None:
        """Return if Redis answers. Raises `ConnectionFailed`."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
                await self._client.ping()
        except (RedisError, OSError, TimeoutError) as error:
            raise ConnectionFailed(
                f"The event stream's Redis does not answer: {str(error) or TIMED_OUT}. "
                "Start it or check HOLDFAST_EVENT_STREAM_URL."
            ) from error

    async def until_listening(self) -> None:
        """Return once it does, or Redis has not answered for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
                await self._listens.wait()

    async def append(self, run_id: str, first: int, events: Sequence[Event]) -> bool:
        if run_id in self._overtaken:
            self._overtaken.discard(run_id)
            return False
        # Of what waits for a Redis that does not answer, the oldest is left out where it is too much.
        self._queue.append(_Append(run_id, first, events))
        self._queued_size += size_of(events)
        while self._queued_size > MAX_SIZE:
            self._queued_size -= size_of(self._queue.popleft().events)
        self._written.clear()
        self._changed.set()
        return True

    async def read(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        last_id = f"1-{after}" if after >= 0 else "0-0"
        block_ms = max(1, wait // timedelta(milliseconds=1)) if wait else None
        try:
            async with asyncio.timeout((wait + COMMAND_TIMEOUT).total_seconds()):
                found: Any = await self._client.xread({_key(run_id): last_id}, count=limit, block=block_ms)
        except (RedisError, OSError, TimeoutError) as error:
            self._note_down(error)
            await asyncio.sleep(min(wait, READ_AGAIN_AFTER).total_seconds())
            return NO_EVENTS
        entries = _entries(found)
        return _batch(entries) if entries else NO_EVENTS

    async def following(self, run_id: str) -> int:
        await self.drain()
        self._overtaken.discard(run_id)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                last: Any = await self._client.xrevrange(_key(run_id), count=1)
        except (RedisError, OSError, TimeoutError) as error:
            self._note_down(error)
            return 0
        return _number(last[0][0]) + 1 if last else 0

    @contextmanager
    def awaiting(self, run_id: str) -> Iterator[asyncio.Future[None]]:
        with self._awaiting.of(run_id) as news:
            if not self._listens.is_set():
                news.set_result(None)
            yield news

    async def drain(self) -> None:
        """Return once what was appended is written, or Redis did not answer for a while."""
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT.total_seconds()):
                await self._written.wait()
        except TimeoutError:
            log.warning("event_stream.not_drained", extra={"appends": len(self._queue)})

    async def write(self) -> None:
        """Write what is appended, until cancelled."""
        is_repeat = False
        while True:
            await self._changed.wait()
            appends = self._next_appends()
            if not appends:
                self._changed.clear()
                self._written.set()
                continue
            try:
                await self._write(appends, is_repeat)
            except (RedisError, OSError, TimeoutError) as error:
                # Of what was sent some may have been written: to write it again is refused, and does no harm.
                is_repeat = True
                self._note_down(error)
                await asyncio.sleep(WRITE_AGAIN_AFTER.total_seconds())
            except UnicodeEncodeError:
                # Nothing was sent. Without these events readers ask the database; without this task, the process ends.
                log.exception("event_stream.unwritable", extra={"run_ids": sorted({each.run_id for each in appends})})
                self._forget(appends)
            else:
                is_repeat = False
                self._note_up()
                self._forget(appends)

    async def listen(self) -> None:
        """Tell those who wait in this process which runs rest, until cancelled."""
        while True:
            try:
                async with self._client.pubsub() as published:
                    await published.subscribe(RESTING)
                    while True:
                        message = await _next(published)
                        # The first message says that all that follow will be heard.
                        self._listens.set()
                        self._note_up()
                        if message["type"] == "message":
                            self._awaiting.tell(message["data"].decode())
            except (RedisError, OSError, TimeoutError) as error:
                self._note_down(error)
            finally:
                self._listens.clear()
            await asyncio.sleep(READ_AGAIN_AFTER.total_seconds())

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

    async def _write(self, appends: list[_Append], is_repeat: bool) -> None:
        pipeline = self._client.pipeline(transaction=False)
        resting = [append.run_id for append in appends if any(event.name in RESTS for event in append.events)]
        for append in appends:
            for number, event in enumerate(append.events, append.first):
                fields: Any = {"name": event.name, "data": event.data}
                pipeline.xadd(
                    _key(append.run_id), fields, id=f"1-{number}", maxlen=MAX_EVENTS_PER_RUN, approximate=True
                )
            pipeline.pexpire(_key(append.run_id), self._retention_ms)
        for run_id in resting:
            pipeline.publish(RESTING, run_id)
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            results = await pipeline.execute(raise_on_error=False)
        position = 0
        for append in appends:
            own = results[position : position + len(append.events) + 1]
            position += len(own)
            self._check(append, own, is_repeat)

    def _check(self, append: _Append, results: list[Any], is_repeat: bool) -> None:
        for result in results:
            if isinstance(result, ResponseError) and "equal or smaller" in str(result):
                if not is_repeat:
                    self._overtaken.add(append.run_id)
            elif isinstance(result, Exception):
                # Full, loading its file, a replica: it may pass.
                raise result

    def _note_down(self, error: Exception) -> None:
        if not self._is_down:
            self._is_down = True
            log.warning("event_stream.down", extra={"reason": repr(error)})

    def _note_up(self) -> None:
        if self._is_down:
            self._is_down = False
            log.warning("event_stream.up")


async def _next(published: PubSub) -> dict[str, Any]:
    """The next message. Raises `TimeoutError` where Redis is silent, even asked whether it is there."""
    message: dict[str, Any] | None = await published.get_message(timeout=PING_AFTER.total_seconds())
    while message is None:
        await published.ping()
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            message = await published.get_message(timeout=None)
    return message


def _key(run_id: str) -> str:
    return f"holdfast:events:{run_id}"


def _number(entry_id: bytes) -> int:
    return int(entry_id.partition(b"-")[2])


def _entries(found: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    # A dict in the protocol's version 3, a list of pairs in version 2.
    streams = list(found.values()) if isinstance(found, dict) else [entries for _, entries in found or ()]
    return [entry for entries in streams for entry in _flat(entries)]


def _flat(entries: Any) -> Any:
    return entries[0] if entries and isinstance(entries[0], list) else entries


def _batch(entries: list[tuple[bytes, dict[bytes, bytes]]]) -> EventBatch:
    """The entries up to the first gap."""
    first = _number(entries[0][0])
    events = [
        Event(fields[b"name"].decode(), fields[b"data"].decode())
        for number, (entry_id, fields) in enumerate(entries, first)
        if _number(entry_id) == number
    ]
    return EventBatch(first, events)
