"""Heartbeats of a run's activities are frequent once there is news of the run, which may be its cancel."""

import asyncio
from datetime import timedelta

import pytest
from redis.asyncio import Redis
from temporalio.testing import ActivityEnvironment

from activities import heartbeat
from activities.heartbeat import heartbeating
from infra.event_stream.in_process import InProcessEventStream
from infra.event_stream.redis_streams import RedisEventStream
from infra.ports import EventStream

AT_ONCE = timedelta(milliseconds=1)
LONG = timedelta(minutes=1)


class Beats:
    """The heartbeats of an activity of run `run_a`."""

    def __init__(self, stream: EventStream, expected: int = 1) -> None:
        self.stream = stream
        self.expected = expected
        self.has_beaten = asyncio.Event()

    async def during(self, *, announced: bool) -> bool:
        """Whether there are as many as expected, after an announcement or without."""
        environment = ActivityEnvironment()
        environment.on_heartbeat = self._beaten
        return bool(await environment.run(self._activity, announced))

    def _beaten(self, *_: object) -> None:
        self.expected -= 1
        if self.expected == 0:
            self.has_beaten.set()

    async def _activity(self, announced: bool) -> bool:
        async with heartbeating(tuple, self.stream.awaiting("run_a")):
            await asyncio.wait({waiting := asyncio.ensure_future(self.has_beaten.wait())}, timeout=0.1)
            if announced:
                assert not self.has_beaten.is_set()
                await self.stream.announce("run_a")
                async with asyncio.timeout(10):
                    await waiting
            waiting.cancel()
            return self.has_beaten.is_set()


@pytest.fixture(autouse=True)
def _only_the_announcement_hurries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_INTERVAL", AT_ONCE)
    monkeypatch.setattr(heartbeat, "AFTER_NEWS", AT_ONCE)
    monkeypatch.setattr(heartbeat, "CALM_INTERVAL", LONG)


async def test_an_announced_run_has_frequent_heartbeats() -> None:
    assert await Beats(InProcessEventStream(LONG), expected=3).during(announced=True)


async def test_an_announcement_is_followed_by_a_heartbeat_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "HEARTBEAT_INTERVAL", LONG)

    assert await Beats(InProcessEventStream(LONG)).during(announced=True)


async def test_a_run_without_news_has_heartbeats_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "CALM_INTERVAL", AT_ONCE)

    assert await Beats(InProcessEventStream(LONG)).during(announced=False)


async def test_heartbeats_are_frequent_where_no_announcement_can_come() -> None:
    async with Redis() as never_connected:
        assert await Beats(RedisEventStream(never_connected, LONG), expected=3).during(announced=False)
