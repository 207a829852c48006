"""HTTP to the endpoints: one connection pool for all of them. Only this module uses aiohttp.

httpx would take six times the CPU: as much for a short answer as all else that Holdfast does with it.
"""

import asyncio
import io
import os
import ssl
from collections.abc import AsyncGenerator, Mapping
from functools import cache
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import certifi

from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.event_stream import EventReader, EventTooLong
from infra.language_model.chat_completions.failures import (
    CallFailed,
    UnreadableAnswer,
    misconfigured,
    refused_with,
    unreachable,
)
from infra.language_model.failure_facts import REDIRECTS, facts_of, redirected

MAX_ERROR_BYTES = 64 * 1024
ERROR_SECONDS = 10
"""The time limit for the body of an error: its status is sufficient."""

MAX_HEADER_BYTES = 64 * 1024
KEEPALIVE_SECONDS = 30
LARGE_BYTES = 1024 * 1024
"""Larger requests are sent in pieces: one of 20 MB would block the event loop."""

PROXY_SCHEMES = ("http", "https")
MISCONFIGURATIONS = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)


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
        try:
            async with self._session.post(
                endpoint.url,
                data=io.BytesIO(body) if len(body) > LARGE_BYTES else body,
                headers=_headers_for(endpoint),
                timeout=aiohttp.ClientTimeout(connect=endpoint.connect_seconds, sock_read=endpoint.read_seconds),
                # A redirect would take the prompt, and headers that are not known to be secret, to another host.
                allow_redirects=False,
                proxy=_proxy_for(endpoint.url),
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
        except aiohttp.ServerTimeoutError as error:
            raise CallFailed(unreachable(f"Timed out: {_waited_for(error, endpoint)}")) from error
        except MISCONFIGURATIONS as error:
            raise CallFailed(misconfigured("Its address is no URL of HTTP.")) from error
        except (aiohttp.ClientError, OSError) as error:
            raise CallFailed(unreachable(_said(error))) from error
        except EventTooLong as error:
            raise UnreadableAnswer("has a piece without end") from error

    @property
    def _session(self) -> aiohttp.ClientSession:
        # Only on an event loop can it be created.
        if self._opened is None:
            # Temporal limits the number of calls; each call that waits for a model uses one connection.
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS, ssl=self._certificates)
            self._opened = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
            )
        return self._opened


def _certificates() -> ssl.SSLContext:
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    return ssl.create_default_context(cafile=file or (None if folder else certifi.where()), capath=folder)


@cache
def _proxy_for(url: str) -> str | None:
    """Raises `CallFailed` for one that is not spoken to."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    scheme, named, _ = proxy.partition("://")
    if named and scheme not in PROXY_SCHEMES:
        raise CallFailed(misconfigured(f"Its proxy is of {scheme}, which is not supported: use one of HTTP."))
    return proxy if named else f"http://{proxy}"


def _headers_for(endpoint: Endpoint) -> Mapping[str, str]:
    headers = endpoint.headers
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        # Not quoted: it is the key.
        raise CallFailed(misconfigured("The API key has characters that no header can have."))
    if urlsplit(endpoint.url).username is None:
        return headers
    # aiohttp sends the credentials of the address, and refuses any beside them.
    return {name: value for name, value in headers.items() if name.lower() != "authorization"}


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


def _said(error: aiohttp.ClientError | OSError) -> str:
    # Their own texts quote the address, with a proxy's password.
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"The proxy says: {error.status} {error.message}"
        case aiohttp.ClientResponseError():
            return " ".join(error.message.split())
    return facts_of(error).said


def _waited_for(error: aiohttp.ServerTimeoutError, endpoint: Endpoint) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return f"no connection within {endpoint.connect_seconds:g} s."
    return f"nothing came for {endpoint.read_seconds:g} s."
