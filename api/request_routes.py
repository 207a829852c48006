"""Names of requests in telemetry: the route's template and a known method, so that there are few names."""

from starlette.types import Scope

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
OTHER_METHOD = "_OTHER"
"""OpenTelemetry's name for an unknown method: clients may send any."""


def method_of(scope: Scope) -> str:
    method = str(scope["method"])
    return method if method in METHODS else OTHER_METHOD


def route_of(scope: Scope) -> str | None:
    """`/threads/{thread_id}/runs`, with or without `/v1` in the path; None if no route matched. Set after routing."""
    route = scope.get("route")
    return None if route is None else str(route.path)
