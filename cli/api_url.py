"""Where the API that this machine serves is reached from this machine."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from infra.settings import Settings

LOOPBACK = "127.0.0.1"
WILDCARD_HOSTS = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104


def api_url(settings: "Settings") -> str:
    """The address to reach the API at, from this machine."""
    return url_of(settings.host, settings.port)


def url_of(host: str, port: int) -> str:
    host = WILDCARD_HOSTS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
