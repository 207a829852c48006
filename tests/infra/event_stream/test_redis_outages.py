"""Who waits for a run to rest, while Redis is away and after it has come back."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta

import pytest

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


async def _is_held(stream: RedisEventStream, is_held: bool = True) -> bool:
    with stream.awaiting("run_b") as news:
        return news.done() is not is_held
