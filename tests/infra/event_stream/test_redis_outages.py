"""A Redis that is away costs events, and nothing else."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

from infra.event_stream import redis_streams, redis_writer
from infra.event_stream.bounds import size_of
from infra.event_stream.redis_streams import RedisEventStream, open_redis_event_stream
from models.events import Event
from tests.program import until
from tests.valkey import ValkeyServer, running_valkey

ENDED = Event("thread.run.completed", "{}")


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


async def test_nobody_waits_for_a_redis_that_is_away(own_valkey: ValkeyServer) -> None:
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        await until(lambda: _is_held(stream), "it does not listen")

        own_valkey.kill()
        await until(lambda: _is_held(stream, is_held=False), "who waits is held though no news can come")

        own_valkey.start()
        await until(lambda: _is_held(stream), "it does not listen again")
        with stream.awaiting("run_a") as news:
            await stream.append("run_a", 0, [ENDED])
            async with asyncio.timeout(5):
                await news


async def test_nobody_waits_for_a_redis_that_hangs(own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_streams, "PING_AFTER", timedelta(milliseconds=100))
    monkeypatch.setattr(redis_streams, "COMMAND_TIMEOUT", timedelta(milliseconds=500))
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        await until(lambda: _is_held(stream), "it does not listen")

        own_valkey.freeze()
        await until(lambda: _is_held(stream, is_held=False), "who waits is held though no news can come")

        own_valkey.thaw()
        await until(lambda: _is_held(stream), "it does not listen again")


async def test_what_waits_for_a_redis_that_is_away_is_bounded(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_writer, "MAX_SIZE", 5 * size_of([ENDED]))
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        own_valkey.kill()
        for number in range(20):
            await stream.append("run_a", number, [ENDED])

        own_valkey.start()
        await stream.drain()
        await until(lambda: _has_events(stream, "run_a"), "what waited is not written")
        batch = await stream.read("run_a", -1, timedelta(), 100)

    assert (batch.first, len(batch.events)) == (15, 5)


async def test_an_event_that_cannot_be_written_takes_nothing_else_with_it(own_valkey: ValkeyServer) -> None:
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        await stream.append("run_a", 0, [Event("thread.run.failed", '"\ud83d"')])
        await stream.drain()
        await stream.append("run_b", 0, [ENDED])

        assert (await stream.read("run_b", -1, timedelta(seconds=20), 100)).events == [ENDED]


async def _has_events(stream: RedisEventStream, run_id: str) -> bool:
    return bool((await stream.read(run_id, -1, timedelta(), 1)).events)


async def _is_held(stream: RedisEventStream, is_held: bool = True) -> bool:
    with stream.awaiting("run_b") as news:
        return news.done() is not is_held
