"""The `EventStream` port over Redis Streams (Redis or Valkey): for API and worker as processes of their own.

That a run rests is published as well: who waits for nothing else needs neither a connection nor the events before.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from infra.background import beside
from infra.errors import ConnectionFailed
from infra.event_stream.redis_layout import (
    FENCE,
    PAUSED_CHANNEL,
    batch_of,
    entries_of,
    entry_id,
    keys_of,
    stream_of,
)
from infra.event_stream.redis_outage import COMMAND_TIMEOUT, RedisOutage
from infra.event_stream.redis_writer import RedisWriter
from infra.event_stream.waiters import Waiters
from infra.ports import NO_EVENTS, EventBatch
from models.events import Event

MAX_CONNECTIONS = 10_000
"""As many as Redis itself takes by default: each reader that waits for its run's next event has one."""

CONNECT_TIMEOUT = timedelta(seconds=5)
TIMED_OUT = f"no answer within {CONNECT_TIMEOUT.seconds} s"
READ_AGAIN_AFTER = timedelta(seconds=1)
"""Until then readers ask the database: not too often, for they may be many."""

FENCING_TOKEN_KEPT_FOR = timedelta(days=7)
"""Longer than the run's events: a machine may be paused for days, and then say what nobody wants to hear any more."""

NO_FENCE = 0
"""A writer that replaces none."""

PING_AFTER = timedelta(seconds=2)
"""A connection that is gone without a word would have poll helpers wait for news that cannot come."""


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
    def __init__(self, client: Redis, retention: timedelta) -> None:
        self._client = client
        self._outage = RedisOutage()
        self._writer = RedisWriter(client, retention, self._outage)
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

    async def append(self, run_id: str, first: int, events: Sequence[Event], fencing_token: int | None = None) -> bool:
        return self._writer.append(run_id, first, events, fencing_token)

    async def fence(self, run_id: str, fencing_token: int) -> int:
        await self._writer.drain()
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
                known_for = str(FENCING_TOKEN_KEPT_FOR // timedelta(milliseconds=1))
                return int(await self._client.eval(FENCE, 2, *keys_of(run_id), known_for, str(fencing_token)))
        except (RedisError, OSError, TimeoutError) as error:
            self._outage.go_on(error)
            return 0

    async def read(self, run_id: str, after: int, wait: timedelta, limit: int) -> EventBatch:
        last_id = entry_id(after) if after >= 0 else "0-0"
        block_ms = max(1, wait // timedelta(milliseconds=1)) if wait else None
        try:
            async with asyncio.timeout((wait + COMMAND_TIMEOUT).total_seconds()):
                found: Any = await self._client.xread({stream_of(run_id): last_id}, count=limit, block=block_ms)
        except (RedisError, OSError, TimeoutError) as error:
            self._outage.go_on(error)
            await asyncio.sleep(min(wait, READ_AGAIN_AFTER).total_seconds())
            return NO_EVENTS
        entries = entries_of(found)
        return batch_of(entries) if entries else NO_EVENTS

    async def following(self, run_id: str) -> int:
        return await self.fence(run_id, NO_FENCE)

    @contextmanager
    def awaiting(self, run_id: str) -> Iterator[asyncio.Future[None]]:
        with self._awaiting.of(run_id) as news:
            if not self._listens.is_set():
                news.set_result(None)
            yield news

    async def drain(self) -> None:
        """Return once what was appended is written, or Redis did not answer for a while."""
        await self._writer.drain()

    async def write(self) -> None:
        """Write what is appended, until cancelled."""
        await self._writer.run()

    async def listen(self) -> None:
        """Tell those who wait in this process which runs rest, until cancelled."""
        while True:
            try:
                async with self._client.pubsub() as published:
                    await published.subscribe(PAUSED_CHANNEL)
                    while True:
                        message = await _next(published)
                        if not self._listens.is_set():
                            # The first message says that all that follow will be heard.
                            self._listens.set()
                            self._outage.end()
                        if message["type"] == "message":
                            self._awaiting.notify(message["data"].decode())
            except (RedisError, OSError, TimeoutError) as error:
                self._outage.go_on(error)
            finally:
                self._listens.clear()
            await asyncio.sleep(READ_AGAIN_AFTER.total_seconds())


async def _next(published: PubSub) -> dict[str, Any]:
    """The next message. Raises `TimeoutError` where Redis is silent, even asked whether it is there."""
    message: dict[str, Any] | None = await published.get_message(timeout=PING_AFTER.total_seconds())
    while message is None:
        await published.ping()
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            message = await published.get_message(timeout=None)
    return message
