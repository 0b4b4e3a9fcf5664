"""A lean HTTP/1.1 client: keep-alive, one request at a time on a connection.

The load must not be what is measured, so this does no more than the benchmark needs; ``ceiling``
measures how many requests a second it can make at all.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from typing import Any

import httptools
import orjson


class LoadError(Exception):
    """A server closed the connection, or answered what the benchmark does not expect."""


class _Exchange(asyncio.Protocol):
    """The client's side of one connection."""

    def __init__(self) -> None:
        self.transport: Any = None
        self.open = False
        self._parser: Any = None
        self._body: list[bytes] = []
        self._waiter: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.open = True

    def send(self, head: bytes, body: bytes) -> asyncio.Future[tuple[int, bytes]]:
        self._parser = httptools.HttpResponseParser(self)
        self._body = []
        self._waiter = asyncio.get_running_loop().create_future()
        self.transport.write(head + body)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.open = False
            self.transport.close()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result((self._parser.get_status_code(), b"".join(self._body)))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._fail("the server closed the connection")

    def _fail(self, reason: str) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(LoadError(reason))


class Connection:
    """Requests to one server, one at a time; opened, and opened again, when needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._exchange: _Exchange | None = None

    async def request(
        self, method: str, target: str, *, token: str = "", content: Any = None
    ) -> tuple[int, bytes]:
        """Status and body of the response; raises LoadError where there is none."""
        if self._exchange is None or not self._exchange.open:
            loop = asyncio.get_running_loop()
            _, self._exchange = await loop.create_connection(_Exchange, "127.0.0.1", self._port)
        body = b"" if content is None else orjson.dumps(content)
        head = f"{method} {target} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n"
        if token:
            head += f"Authorization: Bearer {token}\r\n"
        if content is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        try:
            return await self._exchange.send(f"{head}\r\n".encode(), body)
        except asyncio.CancelledError:
            self.close()  # Else its response would be taken for the next request's.
            raise

    def close(self) -> None:
        """Close, if it is open."""
        if self._exchange is not None and self._exchange.open:
            self._exchange.transport.close()
        self._exchange = None


class _Trivial(asyncio.Protocol):
    """The server's side for the ceiling: the same small answer to everything."""

    _BODY = b'{"user_id":"@benchmark:bench.x"}'
    _HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"

    def __init__(self) -> None:
        self._transport: Any = None
        self._parser: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        self._transport.write(self._HEAD % len(self._BODY) + self._BODY)


def _serve_trivially(listening: socket.socket) -> None:
    import uvloop

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Trivial, sock=listening)
        await server.serve_forever()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())


async def ceiling(seconds: float = 2.0, clients: int = 16) -> float:
    """Requests a second that this client makes of a server that does nothing."""
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(
        target=_serve_trivially, args=(listening,), daemon=True
    )
    process.start()
    connections = [Connection(port) for _ in range(clients)]
    try:
        await asyncio.gather(*(connection.request("GET", "/") for connection in connections))
        count = 0
        start = time.perf_counter()

        async def client(connection: Connection) -> None:
            nonlocal count
            while time.perf_counter() < start + seconds:
                status, _ = await connection.request("GET", "/", token="x" * 40)
                if status != 200:
                    raise LoadError(f"the trivial server answered {status}")
                count += 1

        await asyncio.gather(*(client(connection) for connection in connections))
        return count / (time.perf_counter() - start)
    finally:
        for connection in connections:
            connection.close()
        listening.close()
        process.terminate()
        process.join()
