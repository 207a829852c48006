"""A client that does not read its stream costs the server no memory and does not delay other clients."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import aclosing
from urllib.parse import urlsplit

import pytest

from infra.event_stream.reading import RunEvents
from models.events import NumberedEvent
from tests.holdfast import RunningHoldfast
from tests.provider.replies import Held, Says
from tests.provider.scripted_provider import ScriptedProvider
from tests.sse import names
from tests.streams import all_events, begun, events_url, streamed

pytestmark = [pytest.mark.any_database, pytest.mark.slow]

WORDS = 750
# 12 MB in all: several times what operating systems buffer for an unread connection.
LONG_TEXT = " ".join(f"{number}{'.' * 16_000}" for number in range(WORDS))


async def test_client_that_does_not_read_costs_nothing(
    own_holdfast: RunningHoldfast, provider: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    holdfast = own_holdfast
    await holdfast.start_worker()
    taken = _taken_by_readers(monkeypatch)
    held = Held(Says(LONG_TEXT))
    provider.script("slow-reader", held)
    provider.script("slow-reader-other", Says("It is sunny."))
    run = await begun(holdfast, await holdfast.assistant("slow-reader"))
    await held.arrived()
    with _client_that_does_not_read(events_url(holdfast, run)) as stalled:
        async with asyncio.timeout(10):
            while not taken:
                await asyncio.sleep(0.01)
        held.release()

        whole, other = await asyncio.gather(
            all_events(holdfast, run), streamed(holdfast, await holdfast.assistant("slow-reader-other"))
        )
        taken_by_stalled = taken[0]
        received = (await asyncio.to_thread(_read_all, stalled)).split(b"\n")

    assert names(whole)[-2:] == ["run.completed", "done"]
    assert names(other)[-2:] == ["run.completed", "done"]
    # The remaining events are stored once, in the event stream that all readers share.
    assert taken_by_stalled < WORDS / 2
    deltas = [line for line in received if line.startswith(b"data: ") and b'"thread.message.delta"' in line]
    said = [json.loads(line.removeprefix(b"data: "))["delta"]["content"][0]["text"]["value"] for line in deltas]
    assert "".join(said) == LONG_TEXT
    assert b"event: done" in received


def _taken_by_readers(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """The number of the last event that each reader has consumed, by order of arrival."""
    follow = RunEvents.follow
    taken: dict[int, int] = {}

    async def noted(self: RunEvents, run_id: str, after: int) -> AsyncGenerator[list[NumberedEvent], None]:
        reader = len(taken)
        async with aclosing(follow(self, run_id, after)) as batches:
            async for batch in batches:
                taken[reader] = batch[-1].number if batch else taken[reader]
                yield batch

    monkeypatch.setattr(RunEvents, "follow", noted)
    return taken


def _client_that_does_not_read(url: str) -> socket.socket:
    parts = urlsplit(url)
    client = socket.create_connection((parts.hostname, parts.port))
    client.sendall(f"GET {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n\r\n".encode())
    return client


def _read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(1_000_000):
        parts.append(part)
    # Without the chunk sizes of HTTP.
    return b"".join(parts)
