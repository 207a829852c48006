"""HTTP to the endpoints: one connection pool for all of them. Only this module uses aiohttp.

httpx would take six times the CPU: as much for a short answer as all else that Holdfast does with it.
"""

import asyncio
import os
import re
import ssl
from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING

import aiohttp
import certifi
from aiohttp.abc import AbstractStreamWriter

from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.event_stream import EventReader, EventTooLong
from infra.language_model.chat_completions.failures import (
    CallFailed,
    UnreadableAnswer,
    misconfigured,
    refused_with,
    unreachable,
)
from infra.language_model.chat_completions.routes import NO_URL, route_to
from infra.language_model.failure_facts import REDIRECTS, causes_of, facts_of, redirected

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

MAX_ERROR_BYTES = 64 * 1024
ERROR_SECONDS = 10
"""The time limit for the body of an error: its status is sufficient."""

MAX_HEADER_BYTES = 64 * 1024
MAX_HEADERS = 1_000
KEEPALIVE_SECONDS = 30
PIECE_BYTES = 1024 * 1024
"""Larger requests are sent in pieces: one of 20 MB would block the event loop."""

HEADER_NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
FAILURES = (aiohttp.ClientError, OSError, UnicodeError, EventTooLong)


class ChatCompletionsClient:
    def __init__(self) -> None:
        """Takes tens of milliseconds. Proxies and certificates come from the environment's usual variables."""
        self._certificates = _certificates()
        self._opened: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def events(self, endpoint: Endpoint, body: bytes) -> AsyncGenerator[bytes, None]:
        """The data of the answer's events. Closing the iterator closes the connection, unless it was read to its end.

        Raises `CallFailed`, `UnreadableAnswer` for events that exceed the limit, and `DocumentTooLong`.
        """
        route = route_to(endpoint.url)
        try:
            async with self._session.post(
                route.url,
                data=_Body(body, endpoint.read_seconds),
                headers=_sendable({**endpoint.headers, **route.headers}),
                timeout=aiohttp.ClientTimeout(connect=endpoint.connect_seconds, sock_read=endpoint.read_seconds),
                # A redirect would take the prompt, and headers that are not known to be secret, to another host.
                allow_redirects=False,
                proxy=route.proxy,
                proxy_headers=route.proxy_headers,
            ) as response:
                if response.status in REDIRECTS:
                    raise CallFailed(redirected(response.status, response.headers.get("location", "")))
                if not response.ok:
                    raise CallFailed(refused_with(response.status, _headers(response), await _error(response)))
                reader = EventReader()
                async for piece in response.content.iter_any():
                    for event in reader.feed(piece):
                        yield event
                for event in reader.end():
                    yield event
        except FAILURES as error:
            _forget_frames(error)
            raise _failure(error, endpoint) from error

    @property
    def _session(self) -> aiohttp.ClientSession:
        # Only on an event loop can it be created.
        if self._opened is None:
            # Temporal limits the number of calls; each call that waits for a model uses one connection.
            connector = _Connector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=self._certificates)
            self._opened = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
                max_headers=MAX_HEADERS,
            )
        return self._opened


class _Connector(aiohttp.TCPConnector):
    """Drops idle connections on which a server has said something: it would be taken for the next call's answer."""

    async def _get(self, key: "ConnectionKey", traces: "list[Trace]") -> "Connection | None":
        while (connection := await super()._get(key, traces)) is not None:
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        return None


class _Body(aiohttp.Payload):
    """A request that a server has to accept within a time limit: aiohttp has none for that."""

    _value: bytes

    def __init__(self, body: bytes, seconds: float) -> None:
        super().__init__(body)
        self._size = len(body)
        self._seconds = seconds

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return self._value.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        for start in range(0, len(self._value), PIECE_BYTES):
            async with asyncio.timeout(self._seconds):
                await writer.write(self._value[start : start + PIECE_BYTES])


def _certificates() -> ssl.SSLContext:
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    context = ssl.create_default_context(cafile=file or (None if folder else certifi.where()), capath=folder)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _sendable(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if not (HEADER_NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            # Not quoted: it is the key.
            raise CallFailed(misconfigured("The API key has characters that no header can have."))
    return headers


def _headers(response: aiohttp.ClientResponse) -> Mapping[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _error(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(ERROR_SECONDS):
            async for piece in response.content.iter_any():
                body += piece[: MAX_ERROR_BYTES - len(body)]
                if len(body) >= MAX_ERROR_BYTES:
                    break
    # The part that has arrived is sufficient; its incompleteness is no other failure.
    except (TimeoutError, aiohttp.ClientError, OSError):
        pass
    return bytes(body)


def _failure(error: Exception, endpoint: Endpoint) -> CallFailed | UnreadableAnswer:
    match error:
        case EventTooLong():
            return UnreadableAnswer("has a piece without end")
        case aiohttp.ConnectionTimeoutError():
            return CallFailed(unreachable(f"Timed out: no connection within {endpoint.connect_seconds:g} s."))
        case TimeoutError():
            return CallFailed(unreachable(f"Timed out: nothing came for {endpoint.read_seconds:g} s."))
        # Of a host's name.
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError() | UnicodeError():
            return CallFailed(misconfigured(NO_URL))
    return CallFailed(unreachable(_said(error)))


def _forget_frames(error: Exception) -> None:
    """Connections keep errors, whose frames would keep the request until garbage is collected."""
    for each in causes_of(error):
        each.__traceback__ = None


def _said(error: Exception) -> str:
    # Their own texts quote the address, with a proxy's password.
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"The proxy says: {error.status} {error.message}"
        case aiohttp.ClientResponseError():
            return " ".join(error.message.split())
    return facts_of(error).said
