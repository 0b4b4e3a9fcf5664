"""Which network addresses the server may connect to on somebody else's behalf.

A URL or a server name that a user or another server chose must not reach the operator's own network.
Only addresses of the public Internet are permitted, and those that the operator allows by name of
their network. What embeds an IPv4 address in IPv6 is judged by it, or refused where it is a tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NOT_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
"""IANA's special-purpose registries, multicast, and the prefixes that translate or tunnel to IPv4."""


class AddressPolicy:
    """Says which addresses may be connected to."""

    def __init__(self, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> None:
        """``allow`` and ``deny`` are networks, ``10.1.0.0/16``; what is in both is denied.

        Raises ValueError where one cannot be read.
        """
        self.replace(allow, deny)

    def replace(self, allow: Iterable[str], deny: Iterable[str]) -> None:
        """Judge by other networks from now on; raises ValueError."""
        self._allow = tuple(ip_network(text, strict=False) for text in allow)
        self._deny = tuple(ip_network(text, strict=False) for text in deny)

    def permits(self, address: str) -> bool:
        """Whether to connect to ``address``, an IPv4 or IPv6 address; anything else is refused."""
        try:
            parsed = _plain(ip_address(address.partition("%")[0]))
        except ValueError:
            return False
        if _within(parsed, self._deny):
            return False
        if _within(parsed, self._allow):
            return True
        return parsed.is_global and not parsed.is_multicast and not _within(parsed, NOT_PUBLIC)


def _plain(address: Address) -> Address:
    """An IPv4 address that is written as an IPv6 one, as itself."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
