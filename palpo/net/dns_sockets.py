"""The sockets by which the DNS is asked: each is closed at once, whenever whoever asks gives up.

dnspython's own for asyncio are transports, and one that is cancelled while its transport is being made leaves
that open for good. And they wait with ``asyncio.wait_for``, which on Python 3.11 may forget a cancellation
that comes together with what it waits for: the task that was to end goes on. Here there are plain sockets,
and ``asyncio.timeout``. Names and arguments are dnspython's (``dns.asyncbackend``).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

import dns.exception


class DnsSocket:
    """A UDP or TCP socket that is connected. All raise OSError and dns.exception.Timeout."""

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self.family = opened.family
        self.type = opened.type

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close it, without waiting."""
        self._socket.close()

    async def sendto(self, what: bytes, destination: Any, timeout: float | None) -> int:
        """Send a datagram to the address that it is connected to; its size in bytes."""
        await self.sendall(what, timeout)
        return len(what)

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, Any]:
        """A datagram of up to ``size`` bytes, and the address that it came from."""
        return await self.recv(size, timeout), self._socket.getpeername()

    async def sendall(self, what: bytes, timeout: float | None) -> None:
        """Send all of it, within ``timeout`` seconds."""
        async with _within(timeout):
            await asyncio.get_running_loop().sock_sendall(self._socket, what)

    async def recv(self, size: int, timeout: float | None) -> bytes:
        """What comes next, up to ``size`` bytes, within ``timeout`` seconds; empty at the end."""
        async with _within(timeout):
            return await asyncio.get_running_loop().sock_recv(self._socket, size)


class DnsSockets:
    """Opens them."""

    def datagram_connection_required(self) -> bool:
        """Yes: a server that is not there says so at once, and no other can answer for it."""
        return True

    async def make_socket(
        self,
        af: int,
        socktype: int,
        proto: int,
        source: None,
        destination: tuple[str, int],
        timeout: float | None = None,
    ) -> DnsSocket:
        """A socket that is connected to ``destination``; raises OSError and dns.exception.Timeout."""
        opened = socket.socket(af, socktype, proto)
        try:
            opened.setblocking(False)
            if socktype == socket.SOCK_DGRAM:
                opened.connect(destination)
            else:
                async with _within(timeout):
                    await asyncio.get_running_loop().sock_connect(opened, destination)
        except BaseException:
            opened.close()
            raise
        return DnsSocket(opened)

    async def sleep(self, interval: float) -> None:
        """Wait for so many seconds."""
        await asyncio.sleep(interval)


@asynccontextmanager
async def _within(timeout_s: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError as error:
        raise dns.exception.Timeout from error
