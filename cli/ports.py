"""TCP ports, bound early: a port in use is reported before anything has been started."""

import errno
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from infra.errors import StartFailed
from infra.settings import Settings

# The servers of a killed predecessor may still be about to end.
PATIENCE = timedelta(seconds=2)
RETRY_INTERVAL = timedelta(milliseconds=50)


class PortUnusable(StartFailed):
    """The port is in use, or the host is not an address of this machine."""


@dataclass(frozen=True)
class Address:
    """The address of a server. `setting` is the environment variable that names the port."""

    setting: str
    host: str
    port: int


def api_address(settings: Settings) -> Address:
    return Address("HOLDFAST_PORT", settings.host, settings.port)


def metrics_address(settings: Settings) -> Address:
    return Address("HOLDFAST_METRICS_PORT", settings.host, settings.metrics_port)


def bind(address: Address) -> list[socket.socket]:
    """Bind the port without listening: until `listen`, connections are refused. Raises `PortUnusable`."""
    deadline = time.monotonic() + PATIENCE.total_seconds()
    while True:
        try:
            return _bind_each(address)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise _unusable(address, error) from error
        time.sleep(RETRY_INTERVAL.total_seconds())


def listen(sockets: Sequence[socket.socket], address: Address) -> None:
    """Start to accept connections. Raises `PortUnusable` if another process has listened since `bind`."""
    try:
        for bound in sockets:
            bound.listen()
    except OSError as error:
        raise _unusable(address, error) from error


def require_free(addresses: Iterable[Address]) -> None:
    """Raises `PortUnusable` if one of the ports is in use, or configured twice."""
    seen: dict[int, Address] = {}
    for address in addresses:
        other = seen.setdefault(address.port, address)
        if other is not address:
            raise PortUnusable(f"{other.setting} and {address.setting} are both {address.port}: change one of them.")
        for bound in bind(address):
            bound.close()


def _bind_each(address: Address) -> list[socket.socket]:
    # A name such as localhost may also stand for an IPv6 address, which a machine without IPv6 lacks.
    bound, missing = [], None
    for family, kind, protocol, _, where in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        try:
            bound.append(_bind(socket.socket(family, kind, protocol), where))
        except OSError as error:
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            missing = error
    if missing and not bound:
        raise missing
    return bound


def _bind(unbound: socket.socket, where: tuple[object, ...]) -> socket.socket:
    try:
        unbound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if unbound.family == socket.AF_INET6:
            unbound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        unbound.bind(where)
    except OSError:
        unbound.close()
        raise
    return unbound


def _unusable(address: Address, error: OSError) -> PortUnusable:
    if error.errno == errno.EADDRINUSE:
        return PortUnusable(
            f"Port {address.port} on {address.host} is in use. "
            f"Stop the program that uses it or set {address.setting} to a free port."
        )
    return PortUnusable(
        f"Cannot listen on {address.host}, port {address.port}: {error.strerror}. "
        f"Check {address.setting} and the host it goes with."
    )
