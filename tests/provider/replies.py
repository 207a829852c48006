"""The replies that a test can script for one request."""

import gzip
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.provider.exchange import BrokenOff, Exchange
from tests.provider.signals import Signal

USAGE: Mapping[str, Any] = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


class Reply(Protocol):
    async def send(self, exchange: Exchange) -> None: ...


@dataclass(frozen=True)
class Says:
    """Streams `text` word by word. `finish` is the finish reason: "stop", "length", "content_filter".

    `usage=None` is a provider that reports no usage even when asked.
    """

    text: str
    finish: str = "stop"
    usage: Mapping[str, Any] | None = field(default_factory=lambda: USAGE)

    async def send(self, exchange: Exchange) -> None:
        await exchange.delta({"role": "assistant", "content": ""})
        await _say(exchange, self.text)
        await _finish(exchange, self.finish, self.usage)


class Calls:
    """Calls functions, each `(name, arguments)`, in parallel; `text` is said before.

    The wire is OpenAI's: id and name in a call's first chunk, the arguments in pieces after it.
    """

    def __init__(
        self,
        *calls: tuple[str, str],
        text: str = "",
        finish: str = "tool_calls",
        usage: Mapping[str, Any] | None = USAGE,
    ) -> None:
        self.calls = calls
        self.text = text
        self.finish = finish
        self.usage = usage

    async def send(self, exchange: Exchange) -> None:
        await exchange.delta({"role": "assistant", "content": None})
        await _say(exchange, self.text)
        for index, (name, arguments) in enumerate(self.calls):
            await self._call(exchange, index, name, arguments)
        await _finish(exchange, self.finish, self.usage)

    async def _call(self, exchange: Exchange, index: int, name: str, arguments: str) -> None:
        opening = {"id": f"call_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
        await exchange.delta({"tool_calls": [{"index": index, **opening}]})
        for piece in re.findall(r"(?s).{1,8}", arguments):
            await exchange.delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


@dataclass(frozen=True)
class Fails:
    """Answers with an HTTP error in OpenAI's envelope."""

    status: int
    message: str = "Scripted failure."
    code: str | None = None
    type: str | None = None
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, exchange: Exchange) -> None:
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        await exchange.fail(self.status, error, self.headers)


@dataclass(frozen=True)
class BreaksOff:
    """Streams the words of `after`, then drops the connection. With `after=""` nothing but headers comes."""

    after: str = ""

    async def send(self, exchange: Exchange) -> None:
        await exchange.begin()
        await _say(exchange, self.after)
        raise BrokenOff


@dataclass(frozen=True)
class Hangs:
    """Streams the words of `after`, and raw `chunks`, then says nothing more until the client goes away
    (`provider.disconnected`).
    """

    after: str = ""
    chunks: tuple[Mapping[str, Any], ...] = ()

    async def send(self, exchange: Exchange) -> None:
        await _say(exchange, self.after)
        for chunk in self.chunks:
            await exchange.chunk(chunk)
        await exchange.until_gone()


class Chunks:
    """Raw chunks, for wires that are not OpenAI's: each is the JSON of one event (id, model, … are added) or its text.

    `done=False` ends the response without `[DONE]`.
    """

    def __init__(self, *chunks: Mapping[str, Any] | str, done: bool = True) -> None:
        self.chunks = chunks
        self.done = done

    async def send(self, exchange: Exchange) -> None:
        for chunk in self.chunks:
            await (exchange.event(chunk) if isinstance(chunk, str) else exchange.chunk(chunk))
        await (exchange.done() if self.done else exchange.end())


@dataclass(frozen=True)
class Bytes:
    """The bytes of a stream as they are, in these pieces. If it hangs, nothing follows until the client goes away."""

    pieces: tuple[bytes, ...]
    hangs: bool = False

    async def send(self, exchange: Exchange) -> None:
        for piece in self.pieces:
            await exchange.bytes(piece)
        await (exchange.until_gone() if self.hangs else exchange.end())


@dataclass(frozen=True)
class Whole:
    """One whole answer instead of a stream, from a server that ignores `stream`; `message` is OpenAI's."""

    message: Mapping[str, Any]
    finish: str = "stop"

    async def send(self, exchange: Exchange) -> None:
        await exchange.document(self.document)

    @property
    def document(self) -> Mapping[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", **self.message}, "finish_reason": self.finish}
        return {"object": "chat.completion", "choices": [choice], "usage": USAGE}


@dataclass(frozen=True)
class Document:
    """One JSON document, to a request that asks for no stream, or instead of one. If it is cut, half of it comes."""

    content: Any
    content_type: str | None = "application/json"
    is_compressed: bool = False
    is_cut: bool = False

    async def send(self, exchange: Exchange) -> None:
        headers = {"content-type": self.content_type} if self.content_type else {}
        body = json.dumps(self.content, indent=1).encode()
        if self.is_compressed:
            body, headers = gzip.compress(body), {**headers, "content-encoding": "gzip"}
        if self.is_cut:
            await exchange.whole(body[: len(body) // 2], headers, more=True)
            raise BrokenOff
        await exchange.whole(body, headers)


@dataclass(frozen=True)
class WholeError:
    """An error with the status of a success, instead of a stream."""

    message: str

    async def send(self, exchange: Exchange) -> None:
        await exchange.document({"error": {"message": self.message}})


@dataclass(frozen=True)
class InOnePiece:
    """All that `reply` streams, at once: as from a gateway that gathers what it passes on."""

    reply: Reply

    async def send(self, exchange: Exchange) -> None:
        exchange.gather()
        await self.reply.send(exchange)


class Held:
    """Streams the words of `after`, then waits for `release()` before `reply`; `arrived()` returns once it waits."""

    def __init__(self, reply: Reply, after: str = "") -> None:
        self.reply = reply
        self.after = after
        self._arrived = Signal()
        self._released = Signal()

    async def arrived(self) -> None:
        await self._arrived.wait()

    def release(self) -> None:
        self._released.set()

    async def send(self, exchange: Exchange) -> None:
        await _say(exchange, self.after)
        self._arrived.set()
        await exchange.until(self._released)
        await self.reply.send(exchange)


def chunk_of(delta: Mapping[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    """One chunk for `Chunks`, with one choice."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}


async def _say(exchange: Exchange, text: str) -> None:
    for word in re.findall(r"\s*\S+\s*$|\s*\S+", text):
        await exchange.delta({"content": word})


async def _finish(exchange: Exchange, reason: str, usage: Mapping[str, Any] | None) -> None:
    await exchange.delta({}, finish_reason=reason)
    if usage is not None and exchange.wants_usage:
        await exchange.chunk({"choices": [], "usage": usage})
    await exchange.done()
