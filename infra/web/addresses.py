"""Which IP addresses are of the public Internet, those that only carry another address among them."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

NAT64 = ip_network("64:ff9b::/96")
SIX_TO_FOUR = ip_network("2002::/16")
# Where the carried address is not at a place that everyone agrees on.
NEVER = (
    ip_network("64:ff9b:1::/48"),
    # Teredo.
    ip_network("2001::/32"),
    # IPv4-compatible, loopback and unspecified.
    ip_network("::/96"),
    # Site-local, which Python counts as public.
    ip_network("fec0::/10"),
)
ISATAP = 0x5EFE


def is_public(address: str) -> bool:
    """Whether an address, in its canonical form, is one that everybody reaches. Raises `ValueError`."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if carried := _carried(found):
            return _is_public(carried)
        if any(found in network for network in NEVER):
            return False
    return _is_public(found)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which a gateway or the system itself would pass the connection on."""
    if address.ipv4_mapped:
        return address.ipv4_mapped
    if address in NAT64 or (int(address) >> 32) & 0xFFFF == ISATAP:
        return IPv4Address(address.packed[-4:])
    if address in SIX_TO_FOUR:
        return IPv4Address(address.packed[2:6])
    return None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved
