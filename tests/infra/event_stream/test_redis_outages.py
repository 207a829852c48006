"""A Redis that is away costs events, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from infra.event_stream import redis_news, redis_writer
from infra.event_stream.bounds import size_of
from infra.event_stream.redis_layout import PAUSED_CHANNEL
from infra.event_stream.redis_streams import RedisEventStream, open_redis_event_stream
from models.events import Event
from tests.program import until
from tests.valkey import ValkeyServer, running_valkey

ENDED = Event("thread.run.completed", "{}")


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


async def test_long_polls_are_answered_while_redis_is_away(own_valkey: ValkeyServer) -> None:
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        await until(lambda: _is_held(stream), "it does not listen")

        with stream.awaiting("run_a") as news:
            own_valkey.kill()
            async with asyncio.timeout(10):
                await news
        await until(lambda: _is_held(stream, is_held=False), "long polls wait though no notification can come")

        own_valkey.start()
        await until(lambda: _is_held(stream), "it does not listen again")
        with stream.awaiting("run_a") as news:
            await stream.append("run_a", 0, [ENDED])
            async with asyncio.timeout(5):
                await news


async def test_long_polls_are_answered_while_redis_hangs(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_news, "PING_AFTER", timedelta(milliseconds=100))
    monkeypatch.setattr(redis_news, "COMMAND_TIMEOUT", timedelta(milliseconds=500))
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        await until(lambda: _is_held(stream), "it does not listen")

        own_valkey.freeze()
        await until(lambda: _is_held(stream, is_held=False), "long polls wait though no notification can come")

        own_valkey.thaw()
        await until(lambda: _is_held(stream), "it does not listen again")


async def test_the_queue_for_a_redis_that_is_away_is_bounded(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_writer, "MAX_SIZE", 5 * size_of([ENDED]))
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        own_valkey.kill()
        for number in range(20):
            await stream.append("run_a", number, [ENDED])

        own_valkey.start()
        await stream.drain()
        await until(lambda: _has_events(stream, "run_a"), "queued events are not written")
        batch = await stream.read("run_a", -1, timedelta(), 100)

    assert (batch.first, len(batch.events)) == (15, 5)


async def test_announcements_for_a_redis_that_hangs_are_not_accumulated(own_valkey: ValkeyServer) -> None:
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream, _published(own_valkey) as runs:
        own_valkey.freeze()
        for number in range(300):
            await stream.announce(f"run_{number % 3}")
            await asyncio.sleep(0)
        own_valkey.thaw()
        await stream.announce("run_last")
        published = [run_id async for run_id in runs]

    # The first may be on its way already.
    assert {*published} == {"run_0", "run_1", "run_2"}
    assert len(published) <= 6


async def test_an_event_that_cannot_be_written_takes_nothing_else_with_it(own_valkey: ValkeyServer) -> None:
    async with open_redis_event_stream(own_valkey.url, timedelta(minutes=1)) as stream:
        await stream.append("run_a", 0, [Event("thread.run.failed", '"\ud83d"')])
        await stream.drain()
        await stream.append("run_b", 0, [ENDED])

        assert (await stream.read("run_b", -1, timedelta(seconds=20), 100)).events == [ENDED]


@asynccontextmanager
async def _published(valkey: ValkeyServer) -> AsyncIterator[AsyncIterator[str]]:
    """The runs that are announced, until `run_last`."""

    async def runs(subscription: PubSub) -> AsyncIterator[str]:
        async for message in subscription.listen():
            if message["type"] == "message":
                if message["data"] == b"run_last":
                    return
                yield message["data"].decode()

    async with Redis(port=valkey.port) as client, client.pubsub() as subscription:
        await subscription.subscribe(PAUSED_CHANNEL)
        assert await subscription.get_message(timeout=10)
        yield runs(subscription)


async def _has_events(stream: RedisEventStream, run_id: str) -> bool:
    return bool((await stream.read(run_id, -1, timedelta(), 1)).events)


async def _is_forgotten(stream: RedisEventStream, run_id: str) -> bool:
    return not await _has_events(stream, run_id)


async def _is_held(stream: RedisEventStream, is_held: bool = True) -> bool:
    with stream.awaiting("run_b") as news:
        return news.done() is not is_held


async def test_a_writer_that_was_frozen_adds_nothing_after_its_successor(valkey: ValkeyServer) -> None:
    run_id = f"run_{uuid4().hex}"
    async with _opened(valkey) as frozen, _opened(valkey) as successor:
        await frozen.append(run_id, 0, [said("first", number) for number in range(10)], fencing_token=1)
        await frozen.drain()
        following = await successor.fence(run_id, 2)
        await successor.append(run_id, following, [said("second", n) for n in range(5)], fencing_token=2)
        await successor.drain()

        # The deltas of the frozen time come at once.
        for number in range(10, 80):
            await frozen.append(run_id, number, [said("first", number)], fencing_token=1)
        await frozen.drain()
        is_written = await frozen.append(run_id, 80, [said("first", 80)], fencing_token=1)
        await successor.append(run_id, 15, [ENDED])
        await successor.drain()
        kept = await successor.read(run_id, -1, timedelta(), 1000)

    assert not is_written
    assert [event.data for event in kept.events[8:12]] == ["first 8", "first 9", "second 0", "second 1"]
    assert (len(kept.events), kept.events[-1]) == (16, ENDED)


async def test_a_redis_that_takes_nothing_is_logged_once(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_news, "PING_AFTER", timedelta(milliseconds=20))
    monkeypatch.setattr(redis_writer, "WRITE_AGAIN_AFTER", timedelta(milliseconds=20))
    async with _opened(own_valkey) as stream, Redis.from_url(own_valkey.url) as client:
        await until(lambda: _is_held(stream), "it does not listen")
        await client.config_set("maxmemory", "1")
        await stream.append("run_a", 0, [ENDED])

        tried = await _calls(client, "eval")
        await until(lambda: _has_called(client, "eval", tried + 5), "it does not try again")
        asked = await _calls(client, "ping")
        await until(lambda: _has_called(client, "ping", asked + 5), "it does not ask whether Redis is there")
        logged = [record.message for record in caplog.records]
        await client.config_set("maxmemory", "0")
        await stream.drain()

    assert logged.count("event_stream.down") == 1
    assert "event_stream.up" not in logged


async def _calls(client: Redis, command: str) -> int:
    stats = await client.info("commandstats")
    return int(stats.get(f"cmdstat_{command}", {"calls": 0})["calls"])


async def _has_called(client: Redis, command: str, times: int) -> bool:
    return await _calls(client, command) >= times


async def test_a_late_answer_is_not_taken_for_that_to_a_later_write(
    own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_writer, "COMMAND_TIMEOUT", timedelta(milliseconds=200))
    async with _opened(own_valkey) as stream, _opened(own_valkey) as other:
        await other.fence("run_old", 2)
        await stream.append("run_a", 0, [said("word", 0)], fencing_token=1)
        await stream.drain()

        own_valkey.freeze()
        await stream.append("run_old", 0, [said("word", 0)], fencing_token=1)
        await until(lambda: _is_failing(stream), "the write does not end")
        own_valkey.thaw()
        await stream.drain()
        # Refused twice: the answers say so of the other run alone.
        for number in range(1, 4):
            assert await stream.append("run_a", number, [said("word", number)], fencing_token=1)
            await stream.drain()
        kept = await other.read("run_a", -1, timedelta(), 100)

    assert list(kept.events) == [said("word", number) for number in range(4)]


async def test_a_superseded_writer_stays_so_when_the_events_are_gone(valkey: ValkeyServer) -> None:
    run_id = f"run_{uuid4().hex}"
    brief = timedelta(milliseconds=200)
    async with (
        open_redis_event_stream(valkey.url, brief) as frozen,
        open_redis_event_stream(valkey.url, brief) as other,
    ):
        await frozen.append(run_id, 0, [said("first", 0)], fencing_token=1)
        await frozen.drain()
        await other.fence(run_id, 2)
        await other.append(run_id, 1, [ENDED])
        await other.drain()
        await until(lambda: _is_forgotten(other, run_id), "the events are kept for good")

        await frozen.append(run_id, 1, [said("first", 1)], fencing_token=1)
        await frozen.drain()
        assert not await _has_events(other, run_id)


async def test_a_fence_holds_though_redis_is_full(own_valkey: ValkeyServer) -> None:
    async with _opened(own_valkey) as stream, Redis.from_url(own_valkey.url) as client:
        await stream.append("run_a", 0, [said("first", 0)], fencing_token=1)
        await stream.drain()
        await client.config_set("maxmemory", "1")

        assert await stream.fence("run_a", 2) == 1


async def test_events_that_are_written_again_are_stored_once(valkey: ValkeyServer) -> None:
    run_id = f"run_{uuid4().hex}"
    async with _opened(valkey) as stream, _opened(valkey) as repeating:
        await stream.append(run_id, 0, [said("word", number) for number in range(3)])
        await stream.drain()

        await repeating.append(run_id, 1, [said("word", number) for number in range(1, 6)])
        await repeating.drain()
        is_written = await repeating.append(run_id, 6, [ENDED])
        await repeating.drain()
        kept = await stream.read(run_id, -1, timedelta(), 100)

    assert is_written
    assert list(kept.events) == [*(said("word", number) for number in range(6)), ENDED]


async def _is_failing(stream: RedisEventStream) -> bool:
    return stream._writer._is_failing


def said(what: str, number: int) -> Event:
    return Event("thread.message.delta", f"{what} {number}")


def _opened(valkey: ValkeyServer) -> AbstractAsyncContextManager[RedisEventStream]:
    return open_redis_event_stream(valkey.url, timedelta(minutes=1))
