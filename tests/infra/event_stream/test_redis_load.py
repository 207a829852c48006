"""The Redis event stream under load, and where Redis is slow."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from tempfile import TemporaryDirectory

import pytest
from redis.asyncio import Redis

from infra.event_stream import redis_news, redis_streams
from infra.event_stream.publishing import publish
from infra.event_stream.redis_streams import RedisEventStream, open_redis_event_stream
from infra.ports import EventBatch
from models.events import Event
from tests.program import until
from tests.slow_proxy import slow_proxy
from tests.valkey import ValkeyServer, running_valkey

pytestmark = pytest.mark.slow

STREAMS = 1_000
KEPT = timedelta(minutes=1)
LONG = timedelta(seconds=30)
SAID = Event("thread.message.delta", '{"text":"a"}')


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


@pytest.fixture
async def stream(own_valkey: ValkeyServer) -> AsyncIterator[RedisEventStream]:
    async with open_redis_event_stream(own_valkey.url, KEPT) as opened:
        yield opened


async def test_a_thousand_streams_take_a_few_connections(stream: RedisEventStream, own_valkey: ValkeyServer) -> None:
    readers = [asyncio.create_task(stream.read(f"run_{n}", -1, LONG, 100)) for n in range(STREAMS)]
    async with Redis.from_url(own_valkey.url) as client:
        await until(lambda: _are_followed(client, STREAMS), "the runs are not followed")
        connections = len(await client.client_list()) - 1

    for number in range(STREAMS):
        await stream.append(f"run_{number}", 0, [SAID])

    async with asyncio.timeout(15):
        assert [list(batch.events) for batch in await asyncio.gather(*readers)] == [[SAID]] * STREAMS
    assert connections <= 4


async def test_a_socket_file_leads_to_redis_as_well() -> None:
    with TemporaryDirectory() as folder:
        path = f"{folder}/valkey.sock"
        server = ValkeyServer()
        server.arguments = (*server.arguments, "--unixsocket", path)
        with running_valkey(server):
            async with open_redis_event_stream(f"unix://{path}", KEPT) as stream:
                await publish(stream, "run_a", EventBatch(0, [SAID]))

                assert list((await stream.read("run_a", -1, LONG, 100)).events) == [SAID]


async def test_a_busy_run_leaves_time_for_the_others(stream: RedisEventStream) -> None:
    for number in range(200):
        await stream.append("run_long", 100 * number, [SAID] * 100)
    await stream.drain()

    async def read_all() -> None:
        after = -1
        while after < 19_999:
            after = (await stream.read("run_long", after, LONG, 256)).following - 1

    behind = [asyncio.create_task(read_all()) for _ in range(20)]
    await stream.append("run_short", 0, [SAID])
    async with asyncio.timeout(5):
        batch = await stream.read("run_short", -1, LONG, 256)
    done, _ = await asyncio.wait(behind, timeout=0)
    assert (list(batch.events), len(done)) == ([SAID], 0)
    await asyncio.gather(*behind)


async def test_every_event_arrives_while_readers_come_and_go(stream: RedisEventStream) -> None:
    total = 300

    async def write() -> None:
        for number in range(total):
            await stream.append("run_a", number, [SAID])
            await stream.flush("run_a")

    async def read() -> list[int]:
        numbers: list[int] = []
        while len(numbers) < total:
            batch = await stream.read("run_a", len(numbers) - 1, LONG, 7)
            numbers += range(batch.first, batch.following)
        return numbers

    async def come_and_go() -> None:
        while not writing.done():
            gone = asyncio.create_task(stream.read("run_a", total, LONG, 7))
            await asyncio.wait({gone}, timeout=0.001)
            gone.cancel()
            await asyncio.wait({gone})

    writing = asyncio.create_task(write())
    async with asyncio.timeout(20):
        *read_numbers, _, _ = await asyncio.gather(read(), read(), come_and_go(), writing)

    assert read_numbers == [list(range(total))] * 2


async def test_runs_that_nobody_reads_are_no_longer_followed(
    stream: RedisEventStream, own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_news, "UNFOLLOWED_AFTER", timedelta(milliseconds=50))
    async with Redis.from_url(own_valkey.url) as client:
        await stream.read("run_a", -1, timedelta(milliseconds=10), 100)
        await stream.read("run_b", -1, timedelta(milliseconds=10), 100)

        await until(lambda: _are_followed(client, 0), "the runs are followed for good")

        reader = asyncio.create_task(stream.read("run_a", -1, LONG, 100))
        await until(lambda: _are_followed(client, 1), "the run is not followed again")
        await stream.append("run_a", 0, [SAID])
        async with asyncio.timeout(5):
            assert list((await reader).events) == [SAID]


async def test_readers_go_on_when_redis_is_back(
    own_valkey: ValkeyServer, stream: RedisEventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_streams, "READ_AGAIN_AFTER", timedelta(milliseconds=50))
    reader = asyncio.create_task(stream.read("run_a", -1, LONG, 100))
    async with Redis.from_url(own_valkey.url) as client:
        await until(lambda: _are_followed(client, 1), "the run is not followed")

    own_valkey.kill()

    # It returns early, so that its caller asks the database.
    async with asyncio.timeout(5):
        assert not (await reader).events
    own_valkey.start()
    await stream.append("run_a", 0, [SAID])

    async def has_events() -> bool:
        return list((await stream.read("run_a", -1, LONG, 100)).events) == [SAID]

    await until(has_events, "readers do not go on")


async def test_a_fence_waits_only_for_events_appended_before(
    stream: RedisEventStream, caplog: pytest.LogCaptureFixture
) -> None:
    async def append_without_pause() -> None:
        number = 0
        while True:
            await stream.append(f"run_busy{number % 50}", number, [SAID])
            number += 1
            await asyncio.sleep(0)

    load = asyncio.create_task(append_without_pause())
    await stream.append("run_a", 0, [SAID, SAID])
    began = time.monotonic()
    following = [await stream.fence("run_a", 1)]
    await stream.append("run_busy0", 1_000_000, [SAID])
    await stream.drain()
    took = time.monotonic() - began
    load.cancel()
    await asyncio.wait({load})

    assert following == [2]
    assert took < 1.5
    assert "event_stream.not_drained" not in [record.message for record in caplog.records]


async def test_published_events_are_in_the_stream(stream: RedisEventStream, own_valkey: ValkeyServer) -> None:
    async with (
        slow_proxy(own_valkey.port, timedelta(milliseconds=100)) as port,
        open_redis_event_stream(f"redis://127.0.0.1:{port}/0", KEPT) as slow,
    ):
        await publish(slow, "run_a", EventBatch(0, [SAID, SAID]))

        assert await stream.following("run_a") == 2


async def test_publishing_waits_no_longer_than_a_second_for_a_redis_that_hangs(
    stream: RedisEventStream, own_valkey: ValkeyServer
) -> None:
    own_valkey.freeze()
    began = time.monotonic()
    await publish(stream, "run_a", EventBatch(0, [SAID]))
    took = time.monotonic() - began
    own_valkey.kill()

    assert 0.9 < took < 2.5


async def test_publishing_does_not_wait_for_a_redis_that_is_known_to_be_away(
    stream: RedisEventStream, own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def is_noticed() -> bool:
        return "event_stream.down" in [record.message for record in caplog.records]

    own_valkey.kill()
    await publish(stream, "run_a", EventBatch(0, [SAID]))
    await until(is_noticed, "the outage is not noticed")

    began = time.monotonic()
    for number in range(1, 21):
        await publish(stream, "run_a", EventBatch(number, [SAID]))

    assert time.monotonic() - began < 1


async def _are_followed(client: Redis, count: int) -> bool:
    return len(await client.pubsub_channels("holdfast:events:*")) == count
