"""Which address a request comes from, behind any number of reverse proxies.

Each proxy adds whom it heard from to the end of ``X-Forwarded-For``. So the header is read from its end, as
long as whoever wrote an entry is trusted; what an untrusted client wrote before that proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_ENTRIES = 32
"""Longer chains of proxies are not followed."""


def parse_network(text: str) -> Network:
    """An address or a network; an IPv4 one that is written as IPv6 is the IPv4 one. Raises ValueError."""
    network = ip_network(text.strip(), strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((int(mapped), network.prefixlen - 96))
    return network


def parse_address(text: str) -> Address | None:
    """An address as proxies write it, with or without a port: ``::1``, ``[::1]:443``, ``192.0.2.1:5678``.

    None for what is none. An IPv4 address that arrives as IPv6 is the IPv4 one.
    """
    text = text.strip().strip('"')
    if len(text) > 64:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address.scope_id is not None:
            return IPv6Address(int(address))
    return address


class Proxies:
    """Tells clients from the proxies that are trusted to name them."""

    def __init__(self, trusted: Iterable[str]) -> None:
        """``trusted`` are addresses and networks; raises ValueError for what is neither."""
        self._trusted = [parse_network(text) for text in trusted]
        self._peer = lru_cache(maxsize=4096)(self._look_at)

    def trusts(self, peer: str | None) -> bool:
        """Whether ``peer``, an address or None for a Unix socket, is such a proxy."""
        return peer is None or self._peer(peer)[1]

    def plain(self, peer: str | None) -> str:
        """The address of ``peer`` itself."""
        return "" if peer is None else self._peer(peer)[0]

    def client(self, peer: str | None, forwarded: Sequence[str]) -> str:
        """The client's address; ``forwarded`` are all ``X-Forwarded-For`` headers, in their order.

        Empty where nothing is believable: behind a Unix socket whose proxy names nobody.
        """
        if peer is None:
            nearest, trusted = "", True
        else:
            nearest, trusted = self._peer(peer)
        if not trusted or not forwarded:
            return nearest
        for entry in reversed(",".join(forwarded).rsplit(",", MAX_ENTRIES)[-MAX_ENTRIES:]):
            address = parse_address(entry)
            if address is None:
                break
            nearest = str(address)
            if not self._contains(address):
                break
        return nearest

    def _look_at(self, peer: str) -> tuple[str, bool]:
        address = parse_address(peer)
        if address is None:
            return peer, False
        return str(address), self._contains(address)

    def _contains(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)
