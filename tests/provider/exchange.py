"""One request to the scripted provider and the OpenAI wire that answers it: an error, or chunks and `[DONE]`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import Receive, Send

from tests.provider.signals import Signal

EVENT_STREAM = {"content-type": "text/event-stream"}


class BrokenOff(Exception):
    """Raised out of the application, so that uvicorn drops the connection without ending the response."""


class Exchange:
    def __init__(self, body: dict[str, Any], receive: Receive, send: Send, model: str | None = None) -> None:
        """`model` is the body's, unless the wire has it in the path."""
        self.body = body
        self.model = model or str(body.get("model"))
        self._receive = receive
        self._send = send
        self._has_begun = False
        self._gathered: list[str] | None = None
        self.client_is_gone = False

    @property
    def wants_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    def gather(self) -> None:
        """Send the body in one piece, once it is complete."""
        self._gathered = []

    async def fail(self, status: int, error: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        await self._begin(status, {"content-type": "application/json", **(headers or {})})
        await self._body(json.dumps({"error": error}), more=False)

    async def document(self, document: Any) -> None:
        """Answer with one JSON document instead of a stream."""
        await self.whole(json.dumps(document, indent=1).encode(), {"content-type": "application/json"})

    async def whole(self, body: bytes, headers: Mapping[str, str], more: bool = False) -> None:
        """Answer with `body` instead of a stream."""
        await self._begin(200, headers)
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def begin(self) -> None:
        await self._begin(200, EVENT_STREAM)

    async def delta(self, delta: Mapping[str, Any], finish_reason: str | None = None) -> None:
        await self.chunk({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    async def chunk(self, chunk: Mapping[str, Any]) -> None:
        """Send a chunk; the common fields of every chunk (id, model, …) are added."""
        envelope = {"id": "chatcmpl-scripted", "object": "chat.completion.chunk", "created": 1, "model": self.model}
        await self.event(json.dumps({**envelope, **chunk}))

    async def event(self, data: str) -> None:
        await self.begin()
        await self._body(f"data: {data}\n\n", more=True)

    async def named_event(self, name: str, data: Mapping[str, Any]) -> None:
        """Send an event of Anthropic's wire, which says its type in the data as well."""
        await self.begin()
        await self._body(f"event: {name}\ndata: {json.dumps({'type': name, **data})}\n\n", more=True)

    async def lines(self, lines: Sequence[str]) -> None:
        """Answer with lines of JSON."""
        await self._begin(200, {"content-type": "application/x-ndjson"})
        for line in lines:
            await self._body(f"{line}\n", more=True)
        await self.end()

    async def bytes(self, piece: bytes) -> None:
        """Send a piece of the body at once, whatever it is."""
        await self.begin()
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        # A moment for the client to read it, so that it is not joined with the next one.
        await asyncio.sleep(0.001)

    async def done(self) -> None:
        await self.event("[DONE]")
        await self.end()

    async def end(self) -> None:
        await self.begin()
        await self._body("", more=False)

    async def until_gone(self) -> None:
        """Wait until the client has dropped the connection."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_is_gone = True

    async def until(self, signal: Signal) -> None:
        """Wait for `signal`. Raises `BrokenOff` if the client goes away first."""
        gone = asyncio.create_task(self.until_gone())
        waiting = asyncio.create_task(signal.wait(patience=None))
        await asyncio.wait({gone, waiting}, return_when=asyncio.FIRST_COMPLETED)
        gone.cancel()
        waiting.cancel()
        if not signal.is_set:
            raise BrokenOff

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        raw_headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw_headers})

    async def _body(self, text: str, more: bool) -> None:
        if self._gathered is not None:
            self._gathered.append(text)
            if more:
                return
            text = "".join(self._gathered)
        await self._send({"type": "http.response.body", "body": text.encode(), "more_body": more})
