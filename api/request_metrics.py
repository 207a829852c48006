"""Counts and times every response."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.request_routes import method_of, route_of
from infra.metrics import Metrics

NO_ROUTE = "none"


class RequestMetrics:
    """Plain ASGI, because it runs on every request."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._count(scope, message["status"], time.perf_counter() - began)
            await send(message)

        await self._app(scope, receive, watched_send)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method, route = method_of(scope), route_of(scope) or NO_ROUTE
        self._metrics.http_requests.labels(method, route, status).inc()
        self._metrics.http_request_seconds.labels(method, route).observe(seconds)
