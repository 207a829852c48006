"""The `EventStream` port over Redis Streams (Redis or Valkey), for API and workers in processes of their own.

However many runs are followed, a process has one connection that writes, one that reads and one that listens to
notifications; fences take a few more.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from datetime import timedelta

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import RedisError

from infra.background import beside
from infra.errors import ConnectionFailed
from infra.event_stream.redis_layout import FENCE, keys_of
from infra.event_stream.redis_news import RedisNews
from infra.event_stream.redis_outage import COMMAND_TIMEOUT, RedisOutage
from infra.event_stream.redis_reader import RedisReader
from infra.event_stream.redis_writer import RedisWriter
from infra.ports import NO_EVENTS, EventBatch
from models.events import Event

MAX_CONNECTIONS = 16

CONNECT_TIMEOUT = timedelta(seconds=5)
TIMED_OUT = f"no answer within {CONNECT_TIMEOUT.seconds} s"
READ_AGAIN_AFTER = timedelta(seconds=1)
"""Until then readers ask the database, which may be asked by many of them."""

FENCING_TOKEN_KEPT_FOR = timedelta(days=7)
"""Longer than the run's events: a machine may be paused for days, and then append events with an old token."""

NO_FENCE = 0
"""Less than every fencing token."""


@asynccontextmanager
async def open_redis_event_stream(url: str, retention: timedelta) -> AsyncIterator["RedisEventStream"]:
    """Raises `ConnectionFailed` where `url` is none of Redis or does not answer."""
    async with redis_client(url) as client:
        stream = RedisEventStream(client, retention)
        await stream.check()
        async with beside(stream.write()), beside(stream.answer_readers()), beside(stream.listen()):
            await stream.until_listening()
            yield stream
            await stream.drain()


def redis_client(url: str) -> Redis:
    """A client without any connection yet. Raises `ConnectionFailed` where `url` is none of Redis."""
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=COMMAND_TIMEOUT.total_seconds(),
            socket_connect_timeout=CONNECT_TIMEOUT.total_seconds(),
            # Each command has a time limit of its own.
            socket_timeout=None,
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),
        )
    except ValueError as error:
        raise ConnectionFailed(f"HOLDFAST_EVENT_STREAM_URL cannot be used: {error}.") from error
    return Redis.from_pool(pool)


class RedisEventStream:
    def __init__(self, client: Redis, retention: timedelta) -> None:
        self._client = client
        self._outage = RedisOutage()
        self._writer = RedisWriter(client, retention, self._outage)
        self._reader = RedisReader(client, self._outage)
        self._news = RedisNews(client, self._outage)

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
        """Return once notifications are received, or Redis has not answered for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_TIMEOUT.total_seconds()):
                await self._news.until_listening()

    async def append(self, run_id: str, first: int, events: Sequence[Event], fencing_token: int | None = None) -> bool:
        return self._writer.append(run_id, first, events, fencing_token)

    async def flush(self, run_id: str) -> None:
        await self._writer.flush(run_id)

    async def fence(self, run_id: str, fencing_token: int) -> int:
        await self._writer.flush(run_id)
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                known_for = str(FENCING_TOKEN_KEPT_FOR // timedelta(milliseconds=1))
                return int(await self._client.eval(FENCE, 2, *keys_of(run_id), known_for, str(fencing_token)))
        except (RedisError, OSError, TimeoutError) as error:
            self._outage.go_on(error)
            return 0

    async def read(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        if not wait:
            return await self._reader.read(run_id, after, limit) or NO_EVENTS
        async with self._news.following(run_id, after) as followed:
            if followed is None:
                return await self._read_without_news(run_id, after, wait, limit)
            may_have_events, news = followed
            if may_have_events:
                batch = await self._reader.read(run_id, after, limit)
                if batch is None or batch.events:
                    return batch or await _after_failure(wait)
            await asyncio.wait({news}, timeout=wait.total_seconds())
        return await self._reader.read(run_id, after, limit) or await _after_failure(wait)

    async def following(self, run_id: str) -> int:
        return await self.fence(run_id, NO_FENCE)

    async def announce(self, run_id: str) -> None:
        self._writer.append(run_id, 0, (), None)

    def awaiting(self, run_id: str) -> AbstractContextManager[asyncio.Future[None]]:
        return self._news.awaiting(run_id)

    async def drain(self) -> None:
        """Return once appended events are written, or Redis has not answered for a while."""
        await self._writer.drain()

    async def write(self) -> None:
        """Write appended events, until cancelled."""
        await self._writer.run()

    async def answer_readers(self) -> None:
        """Read events for `read`, until cancelled."""
        await self._reader.run()

    async def listen(self) -> None:
        """Receive notifications, until cancelled."""
        await self._news.listen()

    async def _read_without_news(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        batch = await self._reader.read(run_id, after, limit)
        return batch if batch and batch.events else await _after_failure(wait)


async def _after_failure(wait: timedelta) -> EventBatch:
    await asyncio.sleep(min(wait, READ_AGAIN_AFTER).total_seconds())
    return NO_EVENTS
