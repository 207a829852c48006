"""The API, served by uvicorn on the running loop until it is cancelled."""

import asyncio
import socket
from collections.abc import Callable
from datetime import timedelta

import uvicorn
from fastapi import FastAPI

from api.long_polls import LongPolls
from api.sse import Streams
from cli.http_server import HttpServer, PlainHttp
from cli.ports import Address, listen

# How long requests under way, streams among them, may take to end after a stop was asked for.
DRAIN_TIMEOUT = timedelta(seconds=5)
# Longer than clients keep idle connections (the SDKs 5 s), so that none is closed in the face of a request.
KEEP_ALIVE = timedelta(seconds=75)


async def serve_api(
    app: FastAPI, sockets: list[socket.socket], address: Address, on_listening: Callable[[], None]
) -> None:
    """Serve `app` on bound `sockets`. Cancelled, it takes no more requests and lets those under way end."""
    listen(sockets, address)
    server = _Server(
        uvicorn.Config(
            app,
            http=PlainHttp,
            ws="none",
            log_config=None,
            access_log=False,
            timeout_keep_alive=int(KEEP_ALIVE.total_seconds()),
            timeout_graceful_shutdown=int(DRAIN_TIMEOUT.total_seconds()),
        ),
        on_listening,
    )
    serving = asyncio.create_task(server.serve(sockets))
    try:
        await asyncio.shield(serving)
    finally:
        streams: Streams = app.state.streams
        streams.stop()
        long_polls: LongPolls = app.state.long_polls
        long_polls.stop()
        server.should_exit = True
        await serving


class _Server(HttpServer):
    def __init__(self, config: uvicorn.Config, on_listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_listening = on_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_listening()
