"""The sockets of all fetching. The address is checked where the socket opens: nothing before can be wrong about it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any

import httpcore2

from infra.web.addresses import is_public
from infra.web.errors import PageRefused
from models.web_hosts import WEB_PORTS, PrivateHosts

MAX_TRIED_ADDRESSES = 4
RESOLVE_TIMEOUT_SECONDS = 5.0

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
MayConnect = Callable[[str], bool]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name. Raises `OSError`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Resolves a name once, requires that all its addresses are public, and connects to one that it checked.

    Every connection passes here: first requests, redirects, and those of a pool. Raises `PageRefused`.
    """

    def __init__(
        self, private_hosts: PrivateHosts, resolve: Resolve = resolve, may_connect: MayConnect = is_public
    ) -> None:
        self._private_hosts = private_hosts
        self._resolve = resolve
        self._may_connect = may_connect
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the method of the library
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        is_named = self._private_hosts.names_host(host, port)
        if port not in WEB_PORTS and not is_named:
            raise PageRefused(f"Port {port} is none of the web's.")
        addresses = await self._addresses(host, port, timeout or RESOLVE_TIMEOUT_SECONDS)
        if not is_named and not all(map(self._is_allowed, addresses)):
            raise PageRefused(f"'{host}' is not a public host.")
        *others, last = addresses[:MAX_TRIED_ADDRESSES]
        # A machine may have no route to the addresses of IPv6.
        for address in others:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(last, port, timeout, local_address, socket_options)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise PageRefused("Sockets of this machine are not fetched from.")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)

    async def _addresses(self, host: str, port: int, seconds: float) -> Sequence[str]:
        try:
            return [str(ip_address(host.strip("[]")))]
        except ValueError:
            pass
        try:
            found = await asyncio.wait_for(self._resolve(host, port), seconds)
        except (OSError, UnicodeError, TimeoutError) as error:
            raise httpcore2.ConnectError(f"'{host}' has no address.") from error
        if not found:
            raise httpcore2.ConnectError(f"'{host}' has no address.")
        return found

    def _is_allowed(self, address: str) -> bool:
        return self._may_connect(address) or self._private_hosts.has_address(address)
