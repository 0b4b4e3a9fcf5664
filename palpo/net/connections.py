"""Connections to other homeservers: a pool for each destination.

A connection was made to one destination, and proved to be it, so it is used for no other: two servers at one
address and port have two pools. Each address is put to the policy at the moment at which a socket is about to
be opened to it (``SocketFactory``).
"""

from __future__ import annotations

import asyncio
import resource
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.typedefs import LooseHeaders
from yarl import URL

from palpo.net.addresses import AddressPolicy
from palpo.net.discovery import Destination
from palpo.net.dns import Dns, HostUnknown
from palpo.net.http_client import SocketFactory
from palpo.net.resolvers import DnsResolver

MAX_POOLS = 2500
"""Destinations to which connections are kept; beyond, those to the one that was unused for longest go.
One costs some 80 KiB, and to make it anew a millisecond of the processor or two."""
FILES_PER_POOL = 8
"""Of so many file descriptors that this process may have, one pool is kept at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long a request may take, in seconds."""

    whole_s: float = 60.0
    """All of it, from the look-up of the name to the last byte."""
    connect_s: float = 10.0
    """A connection to one address, TLS included."""
    idle_s: float = 60.0
    """Until the answer's first byte, and from each to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A request, wherever it is sent."""

    method: str
    uri: str
    """Path and query, encoded."""
    headers: Mapping[str, str]
    body: bytes | None
    times: Times


class NotConnected(Exception):
    """There is no connection to a destination, so nothing was sent; ``unknown``: its host has no address."""

    def __init__(self, message: str, *, unknown: bool) -> None:
        super().__init__(message)
        self.unknown = unknown


@dataclass(slots=True)
class _Pool:
    session: aiohttp.ClientSession
    users: int = 0


class Connections:
    """Keeps them; ``close`` in the end."""

    def __init__(
        self,
        dns: Dns,
        policy: AddressPolicy,
        tls: ssl.SSLContext,
        *,
        user_agent: str,
        per_destination: int = 8,
        keep_alive_s: float = 60.0,
        pools: int = MAX_POOLS,
    ) -> None:
        """``pools`` is how many are kept at most; fewer where there may be few file descriptors."""
        self._dns = dns
        self._open_socket = SocketFactory(policy)
        self._tls = tls
        self._headers: LooseHeaders = {"User-Agent": user_agent, "Accept-Encoding": "gzip"}
        self._per_destination = per_destination
        self._keep_alive_s = keep_alive_s
        self._most = min(pools, max(1, _most_files() // FILES_PER_POOL))
        self._closed = False
        self._pools: dict[Destination, _Pool] = {}
        self._unused: dict[Destination, float] = {}
        """Those that nobody uses, and since when, by the loop's time; the one that was used last, last."""

    @asynccontextmanager
    async def request(
        self, destination: Destination, outgoing: Outgoing
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; redirects are not followed.

        Raises NotConnected where nothing was sent, and then aiohttp's errors.
        """
        pool = self._used(destination)
        pool.users += 1
        try:
            async with await _send(pool.session, destination, outgoing) as response:
                yield response
        except NotConnected:
            # There is nothing to keep.
            if pool.users == 1 and self._pools.get(destination) is pool:
                await self._pools.pop(destination).session.close()
            raise
        finally:
            pool.users -= 1
            if not pool.users and self._pools.get(destination) is pool:
                self._unused[destination] = asyncio.get_running_loop().time()
            await self._drop_unused()

    async def close(self) -> None:
        """Close every connection, and make no more."""
        self._closed = True
        self._unused.clear()
        while self._pools:
            _, pool = self._pools.popitem()
            await pool.session.close()

    @property
    def pools(self) -> int:
        """Destinations that have a pool now."""
        return len(self._pools)

    def _used(self, destination: Destination) -> _Pool:
        if self._closed:
            raise NotConnected("the server is stopping", unknown=False)
        pool = self._pools.get(destination)
        if pool is None:
            pool = self._pools[destination] = _Pool(self._session(destination))
        self._unused.pop(destination, None)
        return pool

    async def _drop_unused(self) -> None:
        """Close those that are too many, and those whose connections have been idle for too long."""
        idle_since = asyncio.get_running_loop().time() - self._keep_alive_s
        while self._unused:
            destination, since = next(iter(self._unused.items()))
            if len(self._pools) <= self._most and since > idle_since:
                break
            del self._unused[destination]
            await self._pools.pop(destination).session.close()

    def _session(self, destination: Destination) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            socket_factory=self._open_socket,
            ssl=self._tls,
            resolver=DnsResolver(self._dns, destination.host),
            use_dns_cache=False,
            limit=self._per_destination,
            keepalive_timeout=self._keep_alive_s,
        )
        return aiohttp.ClientSession(
            connector=connector,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        )


def _most_files() -> int:
    """How many file descriptors this process may have in the end."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if hard == resource.RLIM_INFINITY else hard


async def _send(
    session: aiohttp.ClientSession, destination: Destination, outgoing: Outgoing
) -> aiohttp.ClientResponse:
    name = f"[{destination.tls_name}]" if ":" in destination.tls_name else destination.tls_name
    times = outgoing.times
    try:
        return await session.request(
            outgoing.method,
            URL(f"https://{name}:{destination.port}{outgoing.uri}", encoded=True),
            headers={**outgoing.headers, "Host": destination.http_host},
            data=outgoing.body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=times.connect_s, sock_read=times.idle_s),
        )
    except aiohttp.ClientConnectorDNSError as error:
        unknown = isinstance(error.os_error, HostUnknown)
        raise NotConnected(str(error.os_error), unknown=unknown) from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise NotConnected(str(error.certificate_error), unknown=False) from error
    except aiohttp.ClientConnectorError as error:
        raise NotConnected(str(error.os_error), unknown=False) from error
    except aiohttp.ConnectionTimeoutError as error:
        raise NotConnected("no connection in time", unknown=False) from error
    except aiohttp.InvalidURL as error:
        raise NotConnected("not a host", unknown=True) from error
