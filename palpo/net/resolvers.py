"""What aiohttp asks for addresses: ours (``palpo.net.dns``) in its terms."""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from palpo.net.dns import Dns


class DnsResolver(AbstractResolver):
    """Looks up the host that is asked for, or always one and the same ``host``."""

    def __init__(self, dns: Dns, host: str | None = None) -> None:
        self._dns = dns
        self._host = host

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of the host, of either family; raises HostError."""
        return [_result(host, address, port) for address in await self._dns.addresses(self._host or host)]

    async def close(self) -> None:
        """There is nothing to close."""


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )
