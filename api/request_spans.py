"""A span around every request, after OpenTelemetry's HTTP conventions. Only installed where traces are on."""

from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, use_span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.request_routes import method_of, route_of


class RequestSpans:
    """A server span under the caller's `traceparent`. No query and no body: they may contain messages."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        span = self._start(scope)

        async def watched_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note_status(span, message["status"])
            await send(message)

        with use_span(span, end_on_exit=True):
            try:
                await self._app(scope, receive, watched_send)
            finally:
                _name(span, scope)

    def _start(self, scope: Scope) -> Span:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        attributes = {
            "http.request.method": method_of(scope),
            "url.path": scope["path"],
            "url.scheme": scope["scheme"],
            "user_agent.original": headers.get("user-agent", ""),
        }
        return self._tracer.start_span(
            method_of(scope), context=extract(headers), kind=SpanKind.SERVER, attributes=attributes
        )


def _note_status(span: Span, status: int) -> None:
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_attribute("error.type", str(status))
        span.set_status(Status(StatusCode.ERROR))


def _name(span: Span, scope: Scope) -> None:
    if route := route_of(scope):
        span.update_name(f"{method_of(scope)} {route}")
        span.set_attribute("http.route", route)
