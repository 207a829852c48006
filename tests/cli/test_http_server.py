"""A client that offers another protocol, as Java's `HttpClient` offers h2c, loses nothing of its request."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from cli.http_server import MAX_OFFERS, PlainHttp

OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAA\r\n"
HEAD = b"POST /v1/threads?a=1 HTTP/1.1\r\nHost: here\r\n" + OFFER


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope, receive)
    said = {
        "url": f"{request.url.path}?{request.url.query}",
        "headers": sorted(request.headers),
        "body": (await request.body()).decode(),
    }
    await JSONResponse(said)(scope, receive, send)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(echo, http=PlainHttp, ws="none", lifespan="off", log_level="critical"))
        serving = asyncio.create_task(server.serve([listener]))
        yield listener.getsockname()[1]
        server.should_exit = True
        await serving


async def answers(port: int, *pieces: bytes, count: int = 1) -> list[Any]:
    """The responses on one connection to `pieces`, each sent in a packet of its own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        # Time for the server to read it: there is no other sign of it.
        await asyncio.sleep(0.02)
    async with asyncio.timeout(10):
        found = [await answer(reader) for _ in range(count)]
    writer.close()
    return found


async def answer(reader: asyncio.StreamReader) -> Any:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
    body = await reader.readexactly(length)
    return json.loads(body) if "200 ok" in head else head.partition("\r\n")[0]


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD + b"Content-Length: 5\r\n\r\nHello",),
        (HEAD[:30], HEAD[30:] + b"Content-Length: 5\r\n", b"\r\nHel", b"lo"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nHe\r\n", b"3\r\nllo\r\n0\r\n\r\n"),
    ],
    ids=["whole", "in pieces", "chunked"],
)
async def test_the_request_is_answered_as_it_stands(port: int, pieces: tuple[bytes, ...]) -> None:
    [said] = await answers(port, *pieces)

    assert (said["url"], said["body"]) == ("/v1/threads?a=1", "Hello")
    assert not {"upgrade", "http2-settings", "connection"} & set(said["headers"])


async def test_the_connection_is_good_for_the_next_requests(port: int) -> None:
    offering = HEAD + b"Content-Length: 5\r\n\r\nHello"
    plain = b"POST /v1/threads HTTP/1.1\r\nHost: here\r\nContent-Length: 5\r\n\r\nagain"

    said = await answers(port, offering + plain, offering, count=3)

    assert [each["body"] for each in said] == ["Hello", "again", "Hello"]


async def test_a_connection_that_is_to_be_closed_is_closed(port: int) -> None:
    head = HEAD.replace(b"Connection: ", b"Connection: close, ")

    [said] = await answers(port, head + b"Content-Length: 5\r\n\r\nHello")

    assert (said["body"], "connection" in said["headers"]) == ("Hello", True)


async def test_a_websocket_gets_a_plain_answer(port: int) -> None:
    [said] = await answers(port, b"GET /ws HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")

    assert said["url"] == "/ws?"


async def test_offers_without_end_are_refused(port: int) -> None:
    said = await answers(port, (HEAD + b"Content-Length: 0\r\n\r\n") * (MAX_OFFERS + 1), count=1)

    assert said == ["http/1.1 400 bad request"]


@pytest.mark.parametrize("request_line", [b"CONNECT here:80 HTTP/1.1", b"nonsense"])
async def test_request_that_is_not_for_this_server_is_refused(port: int, request_line: bytes) -> None:
    assert await answers(port, request_line + b"\r\nHost: here\r\n\r\n") == ["http/1.1 400 bad request"]
