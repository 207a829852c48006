"""HTTP to the endpoints: one connection pool for all of them. Only this module uses httpx."""

import asyncio
from collections.abc import AsyncGenerator

import httpx

from infra.language_model.chat_completions.addresses import Endpoint
from infra.language_model.chat_completions.event_stream import EventReader, EventTooLong
from infra.language_model.chat_completions.failures import (
    CallFailed,
    UnreadableAnswer,
    misconfigured,
    refused_with,
    unreachable,
)
from infra.language_model.failure_facts import facts_of, redirected

MAX_ERROR_BYTES = 64 * 1024
ERROR_SECONDS = 10
"""The time limit for the body of an error: its status is sufficient."""

# Temporal limits the number of calls; each call that waits for a model uses one connection.
LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=200, keepalive_expiry=30)
MISCONFIGURATIONS = (httpx.UnsupportedProtocol, httpx.InvalidURL)


class ChatCompletionsClient:
    def __init__(self) -> None:
        """Takes tens of milliseconds. Proxies and certificates come from the environment's usual variables."""
        # A redirect would take the prompt, and headers that httpx does not know to be secret, to another host.
        self._http = httpx.AsyncClient(limits=LIMITS, follow_redirects=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def events(self, endpoint: Endpoint, body: bytes) -> AsyncGenerator[bytes, None]:
        """The data of the answer's events. Closing the iterator closes the connection, unless it was read to its end.

        Raises `CallFailed`, `UnreadableAnswer` for events that exceed the limit, and `DocumentTooLong`.
        """
        timeout = httpx.Timeout(endpoint.read_seconds, connect=endpoint.connect_seconds)
        try:
            async with self._http.stream(
                "POST", endpoint.url, content=body, headers=endpoint.headers, timeout=timeout
            ) as response:
                if response.is_redirect:
                    raise CallFailed(redirected(response.status_code, response.headers.get("location", "")))
                if not response.is_success:
                    raise CallFailed(refused_with(response.status_code, _headers(response), await _error(response)))
                reader = EventReader()
                async for piece in response.aiter_bytes():
                    for event in reader.feed(piece):
                        yield event
                for event in reader.end():
                    yield event
        except httpx.TimeoutException as error:
            raise CallFailed(unreachable(f"Timed out: {_waited_for(error, endpoint)}")) from error
        # Neither error is logged or reported: they quote the key.
        except (UnicodeEncodeError, httpx.LocalProtocolError) as error:
            raise CallFailed(misconfigured("The API key has characters that no header can have.")) from error
        except MISCONFIGURATIONS as error:
            raise CallFailed(misconfigured(str(error))) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise CallFailed(unreachable(facts_of(error).said)) from error
        except EventTooLong as error:
            raise UnreadableAnswer("has a piece without end") from error


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


async def _error(response: httpx.Response) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(ERROR_SECONDS):
            async for piece in response.aiter_bytes():
                body += piece[: MAX_ERROR_BYTES - len(body)]
                if len(body) >= MAX_ERROR_BYTES:
                    break
    # The part that has arrived is sufficient; its incompleteness is no other failure.
    except (TimeoutError, httpx.TransportError, httpx.DecodingError):
        pass
    return bytes(body)


def _waited_for(error: httpx.TimeoutException, endpoint: Endpoint) -> str:
    if isinstance(error, httpx.ConnectTimeout):
        return f"no connection within {endpoint.connect_seconds:g} s."
    return f"nothing came for {endpoint.read_seconds:g} s."
