"""Listens, over one connection, to the notifications that runs have new events, or have paused or ended.

A notification says only that there is something to read, so none needs to be kept for a slow reader.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from math import inf
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from infra.background import beside
from infra.event_stream.redis_layout import PAUSED_CHANNEL, run_of, stream_of
from infra.event_stream.redis_outage import COMMAND_TIMEOUT, RedisOutage
from infra.event_stream.waiters import Waiters

LISTEN_AGAIN_AFTER = timedelta(seconds=1)

PING_AFTER = timedelta(seconds=2)
"""Where a connection is lost unnoticed, long polls would wait for notifications that cannot come."""

UNFOLLOWED_AFTER = timedelta(seconds=15)
"""Longer than a reader that goes on takes between two reads: a subscription outlasts the single read."""


@dataclass(slots=True, eq=False)
class _Followed:
    run_id: str
    last_read: float
    following: float = inf
    """The number after the last event, once a notification has said so."""
    readers: int = 0
    confirmed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class RedisNews:
    def __init__(self, client: Redis, outage: RedisOutage) -> None:
        self._client = client
        self._outage = outage
        self._listens = asyncio.Event()
        self._paused = Waiters()
        self._appended = Waiters()
        self._followed: dict[str, _Followed] = {}
        self._new: list[str] = []
        self._changed = asyncio.Event()

    async def until_listening(self) -> None:
        await self._listens.wait()

    @contextmanager
    def awaiting(self, run_id: str) -> Iterator[asyncio.Future[None]]:
        """As `EventStream.awaiting`."""
        with self._paused.of(run_id) as news:
            if not self._listens.is_set():
                news.set_result(None)
            yield news

    @asynccontextmanager
    async def following(self, run_id: str, after: int) -> AsyncIterator[tuple[bool, asyncio.Future[None]] | None]:
        """Whether the run may have events after number `after`, and a future that is done once it has more of them.

        None where notifications cannot be received.
        """
        followed = self._follow(run_id)
        followed.readers += 1
        try:
            await asyncio.wait({followed.confirmed}, timeout=COMMAND_TIMEOUT.total_seconds())
            with self._appended.of(run_id) as news:
                is_followed = followed.confirmed.done() and self._followed.get(run_id) is followed
                yield (followed.following > after + 1, news) if is_followed else None
        finally:
            followed.readers -= 1
            followed.last_read = _now()

    async def listen(self) -> None:
        """Receive notifications, until cancelled."""
        while True:
            try:
                async with self._client.pubsub() as published:
                    await published.subscribe(PAUSED_CHANNEL)
                    async with beside(self._subscribe(published)):
                        await self._receive(published)
            except (RedisError, OSError, TimeoutError) as error:
                self._outage.go_on(error)
            finally:
                self._listens.clear()
                self._unfollow_all()
                # What is news now is not heard of, a cancel for example.
                self._paused.notify_all()
            await asyncio.sleep(LISTEN_AGAIN_AFTER.total_seconds())

    def _follow(self, run_id: str) -> _Followed:
        followed = self._followed.get(run_id)
        if followed is None:
            followed = _Followed(run_id, _now())
            if self._listens.is_set():
                self._followed[run_id] = followed
                self._new.append(stream_of(run_id))
                self._changed.set()
            else:
                followed.confirmed.set_result(None)
        return followed

    def _unfollow_all(self) -> None:
        """Without notifications, readers have to look for themselves."""
        lost, self._followed, self._new = self._followed, {}, []
        for run_id, followed in lost.items():
            if not followed.confirmed.done():
                followed.confirmed.set_result(None)
            self._appended.notify(run_id)

    async def _subscribe(self, published: PubSub) -> None:
        # In a task of its own: redis-py closes the connection where a command is cancelled, as readers are.
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(UNFOLLOWED_AFTER.total_seconds()):
                    await self._changed.wait()
            self._changed.clear()
            if unread := self._unread():
                await published.unsubscribe(*unread)
            new, self._new = self._new, []
            if new:
                await published.subscribe(*new)

    def _unread(self) -> list[str]:
        """The channels of runs that nobody has read lately, which are no longer followed."""
        before = _now() - UNFOLLOWED_AFTER.total_seconds()
        unread = [each.run_id for each in self._followed.values() if not each.readers and each.last_read < before]
        for run_id in unread:
            del self._followed[run_id]
        return [stream_of(run_id) for run_id in unread]

    async def _receive(self, published: PubSub) -> None:
        while True:
            message = await next_message(published)
            channel = (message["channel"] or b"").decode()
            match message["type"]:
                # Also after redis-py has connected again by itself: some notifications may have been missed then.
                case "subscribe" if channel == PAUSED_CHANNEL:
                    self._listens.set()
                    self._outage.end()
                    self._paused.notify_all()
                case "subscribe":
                    self._subscribed(run_of(channel))
                case "message" if channel == PAUSED_CHANNEL:
                    self._paused.notify(message["data"].decode())
                case "message":
                    self._appended_to(run_of(channel), int(message["data"]))

    def _subscribed(self, run_id: str) -> None:
        self._appended_to(run_id, inf)
        followed = self._followed.get(run_id)
        if followed and not followed.confirmed.done():
            followed.confirmed.set_result(None)

    def _appended_to(self, run_id: str, following: float) -> None:
        if followed := self._followed.get(run_id):
            followed.following = following
            self._appended.notify(run_id)


async def next_message(published: PubSub) -> dict[str, Any]:
    """The next message. Raises `TimeoutError` where Redis is silent, even asked whether it is there."""
    message: dict[str, Any] | None = await published.get_message(timeout=PING_AFTER.total_seconds())
    while message is None:
        await published.ping()
        async with asyncio.timeout(COMMAND_TIMEOUT.total_seconds()):
            message = await published.get_message(timeout=None)
    return message


def _now() -> float:
    return asyncio.get_running_loop().time()
