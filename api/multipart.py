"""Reads multipart forms as they arrive: no more of one is in memory than a chunk of the connection."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from email.message import Message
from email.utils import collapse_rfc2231_value
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.routing import APIRoute
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.requests import ClientDisconnect
from starlette.types import Message as AsgiMessage
from starlette.types import Receive

from api.json_bodies import NOT_UNICODE, UNPARSABLE
from api.problems import shortened
from models.errors import InvalidRequest

MULTIPART = "multipart/form-data"
NOT_A_FORM = "Could not parse multipart form"
# More than any field but the file has.
MAX_FIELD_BYTES = 4096
MAX_DRAINED_BYTES = 1024**3
MAX_DRAIN_TIME = timedelta(minutes=10)
MAX_SILENCE = timedelta(seconds=10)
"""A client that sends nothing for so long is answered, whatever it has still to send."""
# As web pages and the SDKs write what may not be in a quoted name.
ESCAPES = {"%22": '"', "%0D": "\r", "%0A": "\n"}


@dataclass(frozen=True, slots=True)
class _Head:
    name: str
    filename: str | None


class _End:
    """The end of a part."""


_Token: TypeAlias = _Head | bytes | _End


class Part:
    """A field of a form, or a file. It is read once, before the next part."""

    def __init__(self, head: _Head, tokens: AsyncIterator[_Token]) -> None:
        self.name = head.name
        self.filename = head.filename
        self._tokens = tokens
        self._has_ended = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        while not self._has_ended:
            match await anext(self._tokens):
                case bytes() as chunk:
                    yield chunk
                case _:
                    self._has_ended = True

    async def text(self) -> str:
        """Raises `InvalidRequest` for what is too long to be a field, or no UTF-8."""
        value = b""
        async for chunk in self.chunks():
            value += chunk
            if len(value) > MAX_FIELD_BYTES:
                raise InvalidRequest(
                    f"Invalid '{shortened(self.name)}': string too long. Expected a string with maximum length "
                    f"{MAX_FIELD_BYTES}.",
                    shortened(self.name),
                    "string_above_max_length",
                )
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(NOT_UNICODE, code=UNPARSABLE) from error


class FormRoute(APIRoute):
    """A route that reads its body itself. A refused request's body is read to its end, or a client may see no answer:
    what it still sends would break the connection.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_form(request: Request) -> Response:
            body = _Body(request.receive)
            try:
                return await handle(Request(request.scope, body.receive))
            except ClientDisconnect:
                raise
            except Exception:
                await body.drain()
                raise

        return handle_form


class _Body:
    """Knows whether all of the body was received."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_more = True

    async def receive(self) -> AsgiMessage:
        message = await self._receive()
        self._has_more = message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Return at the end of the body, or at the latest when a client would wait for the answer in vain."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MAX_DRAIN_TIME.total_seconds()):
                await self._drain()

    async def _drain(self) -> None:
        drained = 0
        while self._has_more and drained <= MAX_DRAINED_BYTES:
            async with asyncio.timeout(MAX_SILENCE.total_seconds()):
                drained += len((await self.receive()).get("body", b""))


async def read_parts(request: Request) -> AsyncGenerator[Part, None]:
    """The parts of the form, in their order. Raises `InvalidRequest`, and `ClientDisconnect`."""
    tokens = _tokens(request)
    async for token in tokens:
        if not isinstance(token, _Head):
            continue
        part = Part(token, tokens)
        yield part
        async for _ in part.chunks():
            pass


async def _tokens(request: Request) -> AsyncGenerator[_Token, None]:
    found: list[_Token] = []
    ends: list[bool] = []
    parser = _parser(_boundary(request), found, ends)
    try:
        async for chunk in request.stream():
            parser.write(chunk)
            for token in found:
                yield token
            found.clear()
    except FormParserError as error:
        raise InvalidRequest(NOT_A_FORM) from error
    if not ends:
        raise InvalidRequest(NOT_A_FORM)


def _boundary(request: Request) -> str:
    given = request.headers.get("content-type", "")
    header = Message()
    header["content-type"] = given
    if header.get_content_type() != MULTIPART:
        raise InvalidRequest(
            f"Invalid Content-Type header ({shortened(given)}), expected {MULTIPART}. (HINT: If you're using curl, you "
            f"can pass -H 'Content-Type: {MULTIPART}')"
        )
    boundary = header.get_boundary()
    if not boundary:
        raise InvalidRequest(NOT_A_FORM)
    return boundary


def _parser(boundary: str, found: list[_Token], ends: list[bool]) -> MultipartParser:
    """It adds to `found` what it finds, and to `ends` at the end of the form."""
    headers: dict[str, str] = {}
    name, value = bytearray(), bytearray()

    def end_header() -> None:
        headers[name.decode("latin-1").lower()] = value.decode("latin-1")
        name.clear()
        value.clear()

    def end_headers() -> None:
        found.append(_head_of(headers.get("content-disposition", "")))
        headers.clear()

    return MultipartParser(
        boundary,
        {
            "on_header_field": lambda data, start, end: name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: value.extend(data[start:end]),
            "on_header_end": end_header,
            "on_headers_finished": end_headers,
            "on_part_data": lambda data, start, end: found.append(data[start:end]),
            "on_part_end": lambda: found.append(_End()),
            "on_end": lambda: ends.append(True),
        },
    )


def _head_of(disposition: str) -> _Head:
    header = Message()
    header["content-disposition"] = disposition
    parameters = header.get_params([], header="content-disposition")
    # A name that says its encoding comes as a tuple, and is the better one where both are given.
    named: dict[str, Any] = {}
    for key, value in sorted(parameters, key=lambda each: isinstance(each[1], tuple)):
        named[key.lower()] = value
    if "name" not in named:
        raise InvalidRequest(NOT_A_FORM)
    filename = named.get("filename")
    return _Head(_text_of(named["name"]), None if filename is None else _text_of(filename))


def _text_of(value: Any) -> str:
    if isinstance(value, tuple):
        return collapse_rfc2231_value(value)
    text = str(value)
    for escape, character in ESCAPES.items():
        text = text.replace(escape, character)
    try:
        return text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return text
