"""The host names under which clients may call the server.

Without keys, the server is protected only because it listens on loopback. A web page circumvents that with a name of
its own that resolves to 127.0.0.1 (DNS rebinding): the browser then sees one origin. `Host` has the page's name.
"""

from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.errors import ErrorResponse
from api.problems import shortened
from infra.settings import LOOPBACK_HOSTS, Settings
from models.errors import UnknownHost

ANY_HOST = "*"


def allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """In lower case; None where any host is allowed."""
    named = frozenset(host.lower() for host in settings.allowed_hosts)
    if ANY_HOST in named or (settings.api_keys and not named):
        return None
    # Loopback is always included: health checks from the same machine or container have no other name.
    return named | LOOPBACK_HOSTS | {settings.host.lower()}


class AllowedHosts:
    """Refuses requests to another host, whatever their port. Plain ASGI, because it runs on every request."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).getlist("host")
        if len(given) == 1 and _name(given[0]) in self._hosts:
            await self._app(scope, receive, send)
            return
        await ErrorResponse(UnknownHost(shortened(", ".join(given))))(scope, receive, send)


def _name(host: str) -> str:
    """The host without its port, and an IPv6 address without its brackets."""
    name = host.lower()
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]
