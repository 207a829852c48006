"""The metrics of a process that has no API, on a port of their own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import uvicorn
from prometheus_client import make_asgi_app

from cli.http_server import HttpServer
from cli.ports import Address, listen
from infra.metrics import Metrics

# A reader that takes no more of its answer must not hold up the worker's end.
DRAIN_TIMEOUT = timedelta(seconds=1)


@asynccontextmanager
async def serving_metrics(metrics: Metrics, sockets: Sequence[socket.socket], address: Address) -> AsyncIterator[None]:
    """Serve `metrics` on bound `sockets` while the block runs; without sockets, just run the block."""
    if not sockets:
        yield
        return
    listen(sockets, address)
    server = HttpServer(
        uvicorn.Config(
            make_asgi_app(metrics.registry),
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=int(DRAIN_TIMEOUT.total_seconds()),
        )
    )
    serving = asyncio.create_task(server.serve([*sockets]))
    try:
        yield
    finally:
        server.should_exit = True
        await serving
