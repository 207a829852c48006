"""The way to an address: the credentials that it has, and the proxy that the environment names for it."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from infra.language_model.chat_completions.failures import CallFailed, misconfigured

NO_URL = "Its address, or its proxy's, is no URL of HTTP."
PROXY_SCHEMES = ("http", "https")
MAX_KNOWN = 1_000
"""Of Azure's addresses each deployment has its own, and clients may name any."""


@dataclass(frozen=True)
class Route:
    """`url` and `proxy` are without credentials, which `headers` has; `proxy_headers` ask a proxy for a tunnel.

    HTTP libraries differ in the characters of credentials that they can send.
    """

    url: str
    headers: Mapping[str, str] = field(repr=False)
    proxy: str | None
    proxy_headers: Mapping[str, str] = field(repr=False)


@lru_cache(MAX_KNOWN)
def route_to(url: str) -> Route:
    """Raises `CallFailed` for an address that is no URL, and for a proxy that is not spoken to."""
    try:
        parts, proxy = urlsplit(url), _proxy_for(url)
        by = urlsplit(proxy) if proxy else None
    # Its text may quote the address, with a password.
    except ValueError:
        raise CallFailed(misconfigured(NO_URL)) from None
    for_address = _credentials("authorization", parts)
    for_proxy = _credentials("proxy-authorization", by) if by else {}
    tunnelled = parts.scheme == "https"
    return Route(
        _without_credentials(parts),
        for_address if tunnelled else {**for_address, **for_proxy},
        _without_credentials(by) if by else None,
        for_proxy if tunnelled else {},
    )


def _proxy_for(url: str) -> str | None:
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    # `NO_PROXY` has hosts, with or without a port; an IPv6 address has brackets only before a port.
    if not proxy or proxy_bypass(_host(parts)) or proxy_bypass(parts.hostname or ""):
        return None
    scheme, named, _ = proxy.partition("://")
    if named and scheme.lower() not in PROXY_SCHEMES:
        raise CallFailed(misconfigured(f"Its proxy is of {scheme}, which is not supported: use one of HTTP."))
    return proxy if named else f"http://{proxy}"


def _credentials(header: str, parts: SplitResult) -> Mapping[str, str]:
    if not (parts.username or parts.password):
        return {}
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return {header: f"Basic {b64encode(pair.encode()).decode()}"}


def _without_credentials(parts: SplitResult) -> str:
    return parts._replace(netloc=_host(parts)).geturl()


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2]
