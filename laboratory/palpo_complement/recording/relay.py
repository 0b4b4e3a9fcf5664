"""Passes bytes on between clients and a server, each as it came, and reads along.

Each connection from a client has one of its own to the server. Nothing is parsed on the way: what streams,
streams; who is slow slows the other down; an end in one direction leaves the other open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from .exchanges import Exchange, HttpReader


class _Side(asyncio.Protocol):
    """One end of a connection; what it receives goes to the other end, once that is there."""

    transport: asyncio.Transport

    def __init__(self, seen: Callable[[bytes], None], ended: Callable[[], None]) -> None:
        self._seen = seen
        self._ended = ended
        self._early: list[bytes] = []
        self._other: _Side | None = None
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def join(self, other: _Side) -> None:
        """Pass on to `other` from now on, beginning with what came already."""
        self._other = other
        for data in self._early:
            self.data_received(data)
        self._early.clear()
        if self.transport.is_closing():
            other.transport.close()
        elif self._finished:
            other.end()

    def data_received(self, data: bytes) -> None:
        if self._other is None:
            self._early.append(data)
            return
        self._seen(data)
        self._other.transport.write(data)

    def eof_received(self) -> bool:
        self._finish()
        if self._other is not None:
            self._other.end()
        return True

    def end(self) -> None:
        """The other end sends no more: say so, or close where this end does not either."""
        if self._finished:
            self.transport.close()
            return
        with suppress(OSError, RuntimeError):
            self.transport.write_eof()

    def connection_lost(self, error: Exception | None) -> None:
        if error is None:
            self._finish()
        if self._other is not None:
            other = self._other.transport
            # What was received before it broke is passed on.
            (other.close if error is None or other.get_write_buffer_size() else other.abort)()

    def _finish(self) -> None:
        if not self._finished:
            self._finished = True
            self._ended()

    def pause_writing(self) -> None:
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._other is not None and not self._other.transport.is_closing():
            self._other.transport.resume_reading()


class _Client(_Side):
    """The end towards a client, which asks for its other end itself."""

    def __init__(self, relay: Relay, reader: HttpReader) -> None:
        super().__init__(reader.request, lambda: None)
        self._relay = relay
        self._reader = reader

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._relay.connect(self, self._reader)


class Relay:
    """Listens at a `(host, port)` of its own, and passes on to the server's. It tells of each exchange."""

    def __init__(
        self, listen: tuple[str, int], server: tuple[str, int], on_exchange: Callable[[Exchange], None]
    ) -> None:
        self._listen = listen
        self._server = server
        self._on_exchange = on_exchange
        self._tasks: set[asyncio.Task[None]] = set()
        self._listener: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen. Raises OSError where the address is in use."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._client, *self._listen)

    def close(self) -> None:
        """Take no more connections. Those that are open end when the server or the client ends them."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _client(self) -> _Client:
        return _Client(self, HttpReader(self._on_exchange))

    def connect(self, client: _Client, reader: HttpReader) -> None:
        """Give a client's connection its other end."""
        task = asyncio.create_task(self._connect(client, reader))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, client: _Client, reader: HttpReader) -> None:
        server = _Side(reader.response, reader.response_ended)
        with suppress(RuntimeError):
            client.transport.pause_reading()
        try:
            await asyncio.get_running_loop().create_connection(lambda: server, *self._server)
        except OSError:
            client.transport.abort()
            return
        server.join(client)
        client.join(server)
        if not client.transport.is_closing():
            client.transport.resume_reading()
