"""The connections of all listeners: how many there may be, and how long each may take over what it does."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import ssl
from collections import Counter
from typing import Any, Protocol

from palpo.api.client_addresses import Proxies
from palpo.api.codec import encode
from palpo.api.dispatch import CORS
from palpo.api.limits import origin
from palpo.config.sections.listeners import HttpConfig

LINGER_SECONDS = 60.0
"""How long the rest of a body is read and dropped after the answer, altogether …"""
LINGER_QUIET_SECONDS = 5.0
"""… and while nothing of it arrives."""
LINGER_BYTES = 128 * 1024 * 1024
"""How much of it."""
LINGER_PAUSE_SECONDS = 0.005
LINGER_STRETCH_BYTES = 256 * 1024
"""There is a pause after each: what nobody wants is to cost others little, however fast it comes."""
MAX_HEAD_BYTES = 64 * 1024
CORKED_BYTES = 16 * 1024
"""What is shorter waits for the end of the loop's turn before it is written."""
HANDSHAKE_SECONDS = 20.0
"""For TLS."""
FAREWELL_SECONDS = 5.0
"""How long a client may take to agree that TLS is at its end."""
BACKLOG = 1024
MAX_OPEN_FILES = 65_536
OTHER_FILES = 200
"""File descriptors that are kept for what is not a client's connection: the database, media, the log."""
SECONDS_BETWEEN_LOOKS = 1.0


class Timing:
    """What one connection is waiting for, and since when: seconds of the loop's clock."""

    __slots__ = (
        "blocked_since",
        "busy",
        "dropped",
        "ending_since",
        "head_since",
        "heard",
        "idle_since",
        "lingering_since",
        "pauses",
        "served",
    )

    def __init__(self, now: float) -> None:
        self.busy = False
        """Whether a request is being answered: how long that takes is not the engine's business."""
        self.served = False
        """Whether there has been a request yet."""
        self.idle_since = now
        self.head_since: float | None = None
        """When the head that is arriving began."""
        self.blocked_since: float | None = None
        """Since when the client takes no more of what is sent."""
        self.lingering_since: float | None = None
        """Since when the rest of a body is dropped."""
        self.heard = now
        """When something was last dropped."""
        self.dropped = 0
        """Bytes."""
        self.pauses = False
        """Whether to pause before more is dropped."""
        self.ending_since: float | None = None
        """Since when the connection has been closing."""

    def linger(self, now: float) -> None:
        """Begin to drop what arrives."""
        if self.lingering_since is None:
            self.lingering_since = self.heard = now

    def drop(self, size: int, now: float) -> bool:
        """Whether to go on dropping after ``size`` bytes more."""
        self.heard = now
        self.pauses = self.dropped % LINGER_STRETCH_BYTES + size >= LINGER_STRETCH_BYTES
        self.dropped += size
        return self.dropped <= LINGER_BYTES

    def overdue(self, now: float, http: HttpConfig) -> bool:
        """Whether the connection has taken longer than it may."""
        if self.ending_since is not None:
            return now - self.ending_since > http.send_seconds
        if self.blocked_since is not None:
            return now - self.blocked_since > http.send_seconds
        if self.lingering_since is not None:
            return now - self.lingering_since > LINGER_SECONDS or now - self.heard > LINGER_QUIET_SECONDS
        if self.busy:
            return False
        if self.head_since is not None:
            return now - self.head_since > http.head_seconds
        return now - self.idle_since > (http.keep_alive_seconds if self.served else http.head_seconds)


class Cork:
    """Joins what is written in one turn of the loop, so that a short answer leaves in one piece.

    A client or a proxy that had the head of a refusal before its body might give up in between.
    """

    __slots__ = ("_held", "_loop", "_transport")

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.WriteTransport) -> None:
        self._loop = loop
        self._transport = transport
        self._held = b""

    def write(self, data: bytes) -> None:
        """Write ``data`` at the end of the turn, or at once where it is large."""
        if not self._held and len(data) < CORKED_BYTES:
            self._held = bytes(data)
            self._loop.call_soon(self.flush)
            return
        self._held += data
        if len(self._held) >= CORKED_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is held; to be called before the transport is closed."""
        if self._held:
            held, self._held = self._held, b""
            if not self._transport.is_closing():
                self._transport.write(held)


class Watched(Protocol):
    """A connection of either engine."""

    timing: Timing

    def abort(self) -> None:
        """End it without another word."""

    def shutdown(self) -> None:
        """End it once the request that is being answered, if there is one, has its answer."""


class Connections:
    """Every connection of every listener."""

    def __init__(self, http: HttpConfig) -> None:
        self._http = http
        self._proxies = Proxies(http.trusted_proxies)
        self._total = _room_for_files() - OTHER_FILES
        self._open: dict[Watched, str | None] = {}
        self._by_address: Counter[str] = Counter()
        self.closing = False
        self._none_left = asyncio.Event()

    def admit(self, connection: Watched, peer: str | None) -> bool:
        """Take note of a connection from ``peer``; False where there are too many."""
        if self.closing or len(self._open) >= self._total:
            return False
        address = None if self._proxies.trusts(peer) else origin(peer or "")
        if address is not None:
            if self._by_address[address] >= self._http.max_connections_per_address:
                return False
            self._by_address[address] += 1
        self._open[connection] = address
        return True

    def remove(self, connection: Watched) -> None:
        """Forget a connection that is closed."""
        address = self._open.pop(connection, None)
        if not self._open:
            self._none_left.set()
        if address is not None:
            self._by_address[address] -= 1
            if not self._by_address[address]:
                del self._by_address[address]

    async def watch(self) -> None:
        """End connections that take too long, until cancelled."""
        http = self._http
        quickest = min(http.head_seconds, http.keep_alive_seconds, http.send_seconds)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(SECONDS_BETWEEN_LOOKS, quickest / 4))
            now = loop.time()
            for connection in [item for item in self._open if item.timing.overdue(now, http)]:
                connection.abort()

    async def finish(self) -> None:
        """Let the requests under way be answered, and then end what is still open."""
        self.closing = True
        for connection in list(self._open):
            connection.shutdown()
        if self._open:
            self._none_left.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._http.shutdown_seconds):
                    await self._none_left.wait()
        for connection in list(self._open):
            connection.abort()


def listening_options(listening: socket.socket, context: ssl.SSLContext | None) -> dict[str, Any]:
    """How a server is made of a socket, with TLS by ``context`` or without."""
    return {
        "sock": listening,
        "ssl": context,
        "backlog": BACKLOG,
        "ssl_handshake_timeout": HANDSHAKE_SECONDS if context else None,
        "ssl_shutdown_timeout": FAREWELL_SECONDS if context else None,
    }


def refusal(status: int) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The headers and the body of the answer to what is not HTTP, or has too long a head."""
    too_long = status == 431
    message = f"The request's head is over {MAX_HEAD_BYTES} bytes" if too_long else "This is not HTTP"
    body = encode({"errcode": "M_TOO_LARGE" if too_long else "M_UNRECOGNIZED", "error": message})
    headers = [
        (b"content-type", b"application/json"),
        *CORS,
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
    ]
    return headers, body


def _room_for_files() -> int:
    """How many file descriptors this process may have, after asking for more of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return MAX_OPEN_FILES if soft == resource.RLIM_INFINITY else max(soft, 2 * OTHER_FILES)
