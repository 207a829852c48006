"""Where the API that this machine serves is reached from this machine."""

from infra.settings import Settings

LOOPBACK = "127.0.0.1"
WILDCARD_HOSTS = {"0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104


def api_url(settings: Settings) -> str:
    """The address to reach the API at, from this machine."""
    host = WILDCARD_HOSTS.get(settings.host, settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"
