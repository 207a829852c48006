"""The metrics of a process that has no API, on a port of their own."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import uvicorn
from prometheus_client import make_asgi_app
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.authentication import Keyring
from api.errors import ErrorResponse
from cli.http_server import HttpServer
from cli.ports import Address, listen
from infra.metrics import Metrics
from models.errors import ApiError

# A client that stops reading its response must not delay the end of the worker.
DRAIN_TIMEOUT = timedelta(seconds=1)
HEALTH_PATH = "/health"


@asynccontextmanager
async def serving_metrics(
    metrics: Metrics, keyring: Keyring, sockets: Sequence[socket.socket], address: Address
) -> AsyncIterator[None]:
    """Serve `metrics` on bound `sockets` while the block runs."""
    listen(sockets, address)
    server = HttpServer(
        uvicorn.Config(
            _ForOperators(make_asgi_app(metrics.registry), keyring),
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


class _ForOperators:
    """Requires an operator's key where keys are configured, except for `/health`, which only says that it answers."""

    def __init__(self, app: ASGIApp, keyring: Keyring) -> None:
        self._app = app
        self._keyring = keyring

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer_to(scope)(scope, receive, send)

    def _answer_to(self, scope: Scope) -> ASGIApp:
        if scope["path"] == HEALTH_PATH:
            return Response()
        try:
            self._keyring.caller(Headers(scope=scope).get("authorization")).require_operator()
        except ApiError as error:
            return ErrorResponse(error)
        return self._app
