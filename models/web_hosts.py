"""Hosts and ports that pages may be fetched from: all public ones at the ports of the web, and named private ones."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import urlsplit

MAX_URL_LENGTH = 2048
WEB_PORTS = frozenset({80, 443})


@dataclass(frozen=True)
class PrivateHosts:
    """What an operator allows beside the public web.

    `names` are hosts with a port: their addresses may be any. `networks` are addresses that any name may lead to, at
    `WEB_PORTS`.
    """

    names: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Of `host`, `host:port` and `address/prefix`. Raises `ValueError`."""
        networks = tuple(ip_network(entry) for entry in entries if "/" in entry)
        names = [name for entry in entries if "/" not in entry for name in _named(entry)]
        return cls(frozenset(names), networks)

    def names_host(self, host: str, port: int) -> bool:
        return (host.strip("[]").lower(), port) in self.names

    def has_address(self, address: str) -> bool:
        found = ip_address(address)
        return any(found in network for network in self.networks)


def _named(entry: str) -> list[tuple[str, int]]:
    parts = urlsplit(f"//{entry}")
    if not parts.hostname or parts.netloc != entry or parts.username is not None:
        raise ValueError(f"'{entry}' is neither host, host:port nor address/prefix")
    return [(parts.hostname, port) for port in ([parts.port] if parts.port else sorted(WEB_PORTS))]
