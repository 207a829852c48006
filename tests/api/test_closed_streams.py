"""A stream that is closed early leaves nothing of itself behind."""

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, MutableMapping
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Scope

from api.sse import FROM_THE_BEGINNING, UNTIL_ENDED, Streams
from infra.event_stream.reading import RunEvents
from infra.metrics import Metrics
from models.events import Event, NumberedEvent

SCOPE: Scope = {"type": "http", "asgi": {"spec_version": "2.3"}}
FIRST = NumberedEvent(0, Event("thread.run.created", "{}"))


class OneEvent(RunEvents):
    """One event, and then silence; it takes some time to close, and may fail then."""

    def __init__(self, failure: Exception | None = None) -> None:
        self._failure = failure
        self.is_closed = False

    async def follow(self, run_id: str, after: int) -> AsyncGenerator[list[NumberedEvent], None]:
        yield [FIRST]
        try:
            await asyncio.Event().wait()
        finally:
            await _some_rounds_of_the_loop()
            self.is_closed = True
            if self._failure:
                raise self._failure


class Client:
    def __init__(self) -> None:
        self.received = b""
        self.has_first = asyncio.Event()
        self.is_gone = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.received += message.get("body", b"")
        if self.received:
            self.has_first.set()


@pytest.fixture
async def complaints(collected: None) -> AsyncIterator[list[str]]:
    """Messages of the event loop about tasks that were left alone."""
    loop = asyncio.get_running_loop()
    said: list[str] = []
    loop.set_exception_handler(lambda _, context: said.append(context["message"]))
    yield said
    loop.set_exception_handler(None)


@pytest.mark.parametrize("failure", [None, RuntimeError("the database is away")])
@pytest.mark.parametrize("ended_by", ["client", "server"])
async def test_reading_has_ended_when_the_response_has(
    complaints: list[str], failure: Exception | None, ended_by: str
) -> None:
    events, client = OneEvent(failure), Client()
    streams = Streams(events, timedelta(seconds=15), Metrics([]))
    response = streams.response(UNTIL_ENDED, "run_a", FROM_THE_BEGINNING, None)
    responding = asyncio.create_task(response(SCOPE, client.receive, client.send))
    await client.has_first.wait()
    await _some_rounds_of_the_loop()

    streams.stop() if ended_by == "server" else client.is_gone.set()
    await responding
    is_closed = events.is_closed
    del responding, response
    await _some_rounds_of_the_loop()
    gc.collect()
    await _some_rounds_of_the_loop()

    assert is_closed
    assert (b"server_stopping" in client.received) is (ended_by == "server")
    assert complaints == []


async def _some_rounds_of_the_loop() -> None:
    for _ in range(10):
        await asyncio.sleep(0)
