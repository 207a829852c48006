"""Server-sent events as on the wire, read without any SDK."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Sent:
    """One event. `number` is its `id:` line, if it has one."""

    name: str
    data: str
    number: int | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def parsed(text: str) -> list[Sent]:
    """Every block of a whole stream, without comments."""
    return [block_of(block) for block in text.split("\n\n") if block and not block.startswith(":")]


def block_of(block: str) -> Sent:
    lines = dict(line.split(": ", 1) for line in block.split("\n"))
    assert set(lines) <= {"id", "event", "data"}, block
    return Sent(lines["event"], lines["data"], int(lines["id"]) if "id" in lines else None)


def names(events: list[Sent]) -> list[str]:
    """Names without their common prefix; consecutive equal deltas count as one."""
    short = [event.name.removeprefix("thread.") for event in events]
    return [
        name for place, name in enumerate(short) if not (name.endswith("delta") and short[place - 1 : place] == [name])
    ]


@asynccontextmanager
async def following(
    url: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None
) -> AsyncIterator[AsyncIterator[Sent]]:
    """The events of a stream one by one, as they arrive."""
    async with (
        httpx.AsyncClient(timeout=30) as http,
        http.stream(method, url, json=body, headers=headers) as response,
    ):
        assert response.status_code == httpx.codes.OK, await response.aread()
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield events_of(response)


async def events_of(response: httpx.Response) -> AsyncIterator[Sent]:
    """The events of an open stream, without comments."""
    block: list[str] = []
    async for line in response.aiter_lines():
        if line:
            block.append(line)
        elif block:
            if not block[0].startswith(":"):
                yield block_of("\n".join(block))
            block.clear()
