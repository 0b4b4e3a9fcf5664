"""Requests by HTTP/2 to those destinations that speak it, and by HTTP/1.1 to the others.

Whether one does is found out once, by a connection of its own, which is of no use then if it does not.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp

from palpo.net.addresses import AddressPolicy
from palpo.net.answers import Answer, Sender
from palpo.net.connections import NotConnected, Outgoing
from palpo.net.discovery import Destination
from palpo.net.dns import Dns, HostError, HostUnknown
from palpo.net.http2 import Http2Connection, NotProcessed
from palpo.net.http_client import SocketFactory

PROTOCOL = "h2"
REMEMBERED = 10_000
"""Destinations that speak HTTP/1.1 only; those that were asked longest ago are forgotten first."""
IDEMPOTENT = frozenset(("GET", "PUT", "DELETE"))
ATTEMPTS = 3
"""Connections that one request is tried on: each may be told to be over just now."""


class Http2Connections:
    """Keeps them; ``close`` in the end, which closes ``others`` too."""

    def __init__(
        self,
        dns: Dns,
        policy: AddressPolicy,
        tls: ssl.SSLContext,
        others: Sender,
        *,
        user_agent: str,
        keep_alive_s: float = 60.0,
    ) -> None:
        """``tls`` offers HTTP/2 and HTTP/1.1; ``others`` sends by HTTP/1.1."""
        self._dns = dns
        self._open_socket = SocketFactory(policy)
        self._tls = tls
        self._others = others
        self._user_agent = user_agent
        self._keep_alive_s = keep_alive_s
        self._closed = False
        self._not_there: OrderedDict[Destination, None] = OrderedDict()
        self._there: dict[Destination, Http2Connection] = {}
        self._begun: dict[Destination, asyncio.Lock] = {}

    @asynccontextmanager
    async def request(self, destination: Destination, outgoing: Outgoing, /) -> AsyncIterator[Answer]:
        """Send a request; redirects are not followed.

        Raises NotConnected where nothing was sent, and then aiohttp's errors.
        """
        async with AsyncExitStack() as stack:
            answer = await self._by_http2(stack, destination, outgoing)
            if answer is None:
                answer = await stack.enter_async_context(self._others.request(destination, outgoing))
            yield answer

    async def close(self) -> None:
        """Close every connection, and make no more."""
        self._closed = True
        for connection in self._there.values():
            connection.close()
        await self._others.close()

    async def _by_http2(
        self, stack: AsyncExitStack, destination: Destination, outgoing: Outgoing
    ) -> Answer | None:
        """The answer of a destination that speaks HTTP/2; None for one that does not."""
        head = [
            (":method", outgoing.method),
            (":scheme", "https"),
            (":authority", destination.http_host),
            (":path", outgoing.uri),
            ("user-agent", self._user_agent),
            ("accept-encoding", "gzip"),
            *((name.lower(), value) for name, value in outgoing.headers.items()),
        ]
        for _ in range(ATTEMPTS):
            connection = await self._connection(destination, outgoing.times.connect_s)
            if connection is None:
                return None
            try:
                request = connection.request(head, outgoing.body, outgoing.times.idle_s)
                return await stack.enter_async_context(request)
            except NotProcessed:
                continue
            except aiohttp.ServerDisconnectedError:
                # As with HTTP/1.1, a connection that was kept may have been over already.
                if outgoing.method not in IDEMPOTENT or not connection.has_answered:
                    raise
        raise NotConnected("it takes no more requests", unknown=False)

    async def _connection(self, destination: Destination, connect_s: float) -> Http2Connection | None:
        if self._closed:
            raise NotConnected("the server is stopping", unknown=False)
        if destination in self._not_there:
            self._not_there.move_to_end(destination)
            return None
        found = self._there.get(destination)
        if found is not None and found.is_usable:
            return found
        async with self._begun.setdefault(destination, asyncio.Lock()):
            try:
                return await self._begin(destination, connect_s)
            finally:
                self._begun.pop(destination, None)

    async def _begin(self, destination: Destination, connect_s: float) -> Http2Connection | None:
        """A connection, unless somebody has just made one, or found out that there is none."""
        found = self._there.get(destination)
        if found is not None and found.is_usable:
            return found
        if destination in self._not_there:
            return None
        self._there = {place: item for place, item in self._there.items() if item.is_usable}
        connection = await self._connected(destination, connect_s)
        if connection is None:
            self._not_there[destination] = None
            if len(self._not_there) > REMEMBERED:
                self._not_there.popitem(last=False)
        else:
            self._there[destination] = connection
        return connection

    async def _connected(self, destination: Destination, connect_s: float) -> Http2Connection | None:
        """A new connection, to the first address that there is one to."""
        failures: list[str] = []
        try:
            addresses = await self._dns.addresses(destination.host)
        except HostError as error:
            raise NotConnected(str(error), unknown=isinstance(error, HostUnknown)) from error
        for address in addresses:
            try:
                async with asyncio.timeout(connect_s) as timer:
                    return await self._to(address, destination)
            except TimeoutError:
                if not timer.expired():
                    raise
                failures.append("no connection in time")
            except OSError as error:
                failures.append(str(error) or type(error).__name__)
        raise NotConnected("; ".join(dict.fromkeys(failures)) or "no address", unknown=False)

    async def _to(self, address: str, destination: Destination) -> Http2Connection | None:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        target = (address, destination.port)
        opened = self._open_socket((family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", target))
        try:
            opened.setblocking(False)
            await loop.sock_connect(opened, target)
            transport, connection = await loop.create_connection(
                self._made, sock=opened, ssl=self._tls, server_hostname=destination.tls_name
            )
        except BaseException:
            opened.close()
            raise
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != PROTOCOL:
            transport.close()
            return None
        connection.begin()
        return connection

    def _made(self) -> Http2Connection:
        return Http2Connection(keep_alive_s=self._keep_alive_s)
