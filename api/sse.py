"""Server-sent events: a run's events for OpenAI's SDKs, and for clients that resume a stream by its numbers.

Streams for the SDKs carry no `id:` lines, which crash openai-python beside keepalives.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from anyio import CancelScope
from fastapi.responses import StreamingResponse

from api.v1_answers import V1Answers
from infra.event_stream.reading import RunEvents, RunGone
from infra.metrics import Metrics
from models.errors import ApiError, ErrorEnvelope
from models.events import ENDED, PAUSES_OR_ENDS, NumberedEvent

DONE = b"event: done\ndata: [DONE]\n\n"
MEDIA_TYPE = "text/event-stream; charset=utf-8"
# Proxies must neither store nor buffer events.
HEADERS = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}

FROM_THE_BEGINNING = -1
_EVENT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"type": "string"} for name in ("id", "event", "data")},
    "required": ["event", "data"],
}
OrStream: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {"schema": _EVENT_SCHEMA}}, "description": "The object, or its events."}
}
"""For routes that answer with a stream on request."""

STOPPING = "The server is stopping. The run goes on: follow it by its /events, or retrieve it."
BROKEN = "The stream broke off. The run goes on: follow it by its /events, or retrieve it."
GONE = "The run was deleted."

Piece = TypeVar("Piece")

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Form:
    """How events are written, and the events that end the stream."""

    ends: frozenset[str]
    keepalive: bytes
    has_ids: bool

    def encoded(self, events: Iterable[NumberedEvent]) -> bytes:
        return "".join(map(self._encoded, events)).encode()

    def _encoded(self, numbered: NumberedEvent) -> str:
        number = f"id: {numbered.number}\n" if self.has_ids else ""
        return f"{number}event: {numbered.event.name}\ndata: {numbered.event.data}\n\n"


UNTIL_PAUSED = _Form(PAUSES_OR_ENDS, b": keepalive\n\n", has_ids=False)
"""For the SDKs: the run until it ends or waits for tool outputs."""

UNTIL_ENDED = _Form(ENDED, b"event: keepalive\ndata: {}\n\n", has_ids=True)
"""For clients that resume: the run until it ends, each event with its number as its id."""


class Streams:
    """The streams that this server has open. When it stops, each ends with an error event that says so."""

    def __init__(self, events: RunEvents, keepalive: timedelta, metrics: Metrics) -> None:
        self._events = events
        self._open = metrics.streams_open
        self._keepalive_seconds = keepalive.total_seconds()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End all streams at once and cleanly: their runs go on, and other servers can stream them."""
        self._stopping.set()

    def response(
        self, form: _Form, run_id: str, after: int, v1: V1Answers | None, with_content: bool = False
    ) -> StreamingResponse:
        """The run's events after number `after`; `with_content`: with what only `include[]` shows.

        `v1`: as v1 sent them.
        """
        lines = self._lines(form, run_id, after, v1, with_content)
        return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=HEADERS)

    async def _lines(
        self, form: _Form, run_id: str, after: int, v1: V1Answers | None, with_content: bool
    ) -> AsyncGenerator[bytes, None]:
        with self._open.track_inprogress():
            async with aclosing(self._events_of(form, run_id, after, v1, with_content)) as lines:
                async for line in lines:
                    yield line

    async def _events_of(
        self, form: _Form, run_id: str, after: int, v1: V1Answers | None, with_content: bool
    ) -> AsyncGenerator[bytes, None]:
        last_sent = time.monotonic()
        try:
            async with aclosing(self._until_stopping(self._events.follow(run_id, after))) as batches:
                async for batch in batches:
                    if batch:
                        sent, is_last = await self._until_end(form, run_id, batch)
                        if with_content:
                            sent = [await self._events.with_content(run_id, event) for event in sent]
                        if v1:
                            sent = [NumberedEvent(each.number, await v1.event(each.event)) for each in sent]
                        yield form.encoded(sent) + (DONE if is_last else b"")
                        if is_last:
                            return
                    elif time.monotonic() - last_sent < self._keepalive_seconds:
                        continue
                    else:
                        yield form.keepalive
                    last_sent = time.monotonic()
            yield _error(STOPPING, "server_stopping") if self._stopping.is_set() else DONE
        except RunGone:
            yield _error(GONE, "run_deleted")
        except Exception:
            log.exception("stream.broken", extra={"run_id": run_id})
            yield _error(BROKEN, "stream_broken")

    async def _until_end(
        self, form: _Form, run_id: str, batch: list[NumberedEvent]
    ) -> tuple[list[NumberedEvent], bool]:
        """The events up to the stream's last, and whether that is among them."""
        for position, event in enumerate(batch, 1):
            # A stream of the whole run goes on where a failed run was retried.
            is_end = event.event.name in form.ends
            if is_end and not (form.has_ids and await self._events.goes_on(run_id, event.number)):
                return batch[:position], True
        return batch, False

    async def _until_stopping(
        self, batches: AsyncGenerator[list[NumberedEvent], None]
    ) -> AsyncGenerator[list[NumberedEvent], None]:
        stopping = asyncio.create_task(self._stopping.wait())
        # In tasks of their own: Starlette cancels its own task again and again, and so would cut off the database.
        following: asyncio.Task[list[NumberedEvent] | None] | None = None
        try:
            while True:
                following = asyncio.create_task(following_of(batches))
                await asyncio.wait({following, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not following.done() or (batch := following.result()) is None:
                    return
                yield batch
        finally:
            stopping.cancel()
            with CancelScope(shield=True):
                if following:
                    await ended(following)
                await batches.aclose()


async def following_of(pieces: AsyncGenerator[Piece, None]) -> Piece | None:
    """The next piece, or None at the end, as a coroutine: tasks take no other awaitable."""
    return await anext(pieces, None)


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait for its end. The client is gone, or the server stops: its outcome does not matter."""
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()


def _error(message: str, code: str) -> bytes:
    """The one form that makes every release of the SDKs raise, as `make conformance` checks."""
    envelope = ErrorEnvelope.of(ApiError(message, code=code)).model_dump_json()
    return f"event: error\ndata: {envelope}\n\n".encode()
