"""The relay changes nothing of what passes through it, and its reader sees what was answered."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop
from palpo_complement.recording.exchanges import Exchange
from palpo_complement.recording.relay import Relay

from tests.support.process import free_port

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HOST = "127.0.0.1"
GET = b"GET /_matrix/client/versions?x=1 HTTP/1.1\r\nHost: hs1\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


class Relayed:
    """A server behind a relay, and what the relay's reader saw."""

    def __init__(self, port: int, exchanges: list[Exchange]) -> None:
        self.port = port
        self.exchanges = exchanges

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection(HOST, self.port)
        try:
            yield reader, writer
        finally:
            writer.close()

    def seen(self) -> list[tuple[str, str, int, bytes | None]]:
        return [(item.method, item.target, item.status, item.body) for item in self.exchanges]


@asynccontextmanager
async def relayed(handler: Handler) -> AsyncIterator[Relayed]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handle, HOST, 0)
    behind = server.sockets[0].getsockname()[1]
    exchanges: list[Exchange] = []
    port = free_port()
    relay = Relay((HOST, port), (HOST, behind), exchanges.append)
    await relay.open()
    try:
        yield Relayed(port, exchanges)
    finally:
        relay.close()
        server.close()


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *parts: bytes) -> None:
    """Each part in answer to a request without a body, on one connection."""
    for part in parts:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(part)
        await writer.drain()


def on_the_real_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """The runner's loop is uvloop's, whose transports are not asyncio's."""

    def run() -> None:
        async def bounded() -> None:
            async with asyncio.timeout(30):
                await test()

        uvloop.run(bounded())

    run.__name__ = test.__name__
    return run


@on_the_real_loop
async def test_one_connection_serves_many_requests() -> None:
    async with relayed(lambda r, w: answers(r, w, OK, OK)) as server, server.connected() as (reader, writer):
        for _ in range(2):
            writer.write(GET)
            assert await reader.readexactly(len(OK)) == OK
        assert server.seen() == [("GET", "/_matrix/client/versions?x=1", 200, b"{}")] * 2


@on_the_real_loop
async def test_head_has_no_body_whatever_its_length_says() -> None:
    head = OK.removesuffix(b"{}")
    async with (
        relayed(lambda r, w: answers(r, w, head, OK)) as server,
        server.connected() as (reader, writer),
    ):
        writer.write(GET.replace(b"GET", b"HEAD"))
        assert await reader.readexactly(len(head)) == head
        writer.write(GET)
        assert await reader.readexactly(len(OK)) == OK
        assert [(item.method, item.body) for item in server.exchanges] == [("HEAD", None), ("GET", b"{}")]


@on_the_real_loop
async def test_what_streams_is_passed_on_as_it_comes() -> None:
    go_on = asyncio.Event()

    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answers(
            reader,
            writer,
            OK.replace(b"Content-Length: 2", b"Transfer-Encoding: chunked").replace(b"{}", b'4\r\n{"a"\r\n'),
        )
        await go_on.wait()
        writer.write(b"3\r\n:1}\r\n0\r\n\r\n")

    async with relayed(stream) as server, server.connected() as (reader, writer):
        writer.write(GET)
        assert (await reader.readuntil(b'4\r\n{"a"\r\n')).startswith(b"HTTP/1.1 200 OK\r\n")
        assert server.seen() == []
        go_on.set()
        assert await reader.read() == b"3\r\n:1}\r\n0\r\n\r\n"
        assert server.exchanges[0].body == b'{"a":1}'


@on_the_real_loop
async def test_compressed_bodies_are_passed_on_compressed_and_read_uncompressed() -> None:
    packed = gzip.compress(b'{"versions":[]}')
    length = f"Content-Encoding: gzip\r\nContent-Length: {len(packed)}".encode()
    sent = OK.replace(b"Content-Length: 2", length).removesuffix(b"{}") + packed
    async with relayed(lambda r, w: answers(r, w, sent)) as server, server.connected() as (reader, writer):
        writer.write(GET)
        assert await reader.read() == sent
        assert server.exchanges[0].body == b'{"versions":[]}'


@on_the_real_loop
async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    sent = OK.replace(b"Content-Length: 2\r\n", b"")
    async with relayed(lambda r, w: answers(r, w, sent)) as server, server.connected() as (reader, writer):
        writer.write(GET)
        assert await reader.read() == sent
        assert server.exchanges[0].body == b"{}"


@on_the_real_loop
async def test_an_answer_that_breaks_off_is_none() -> None:
    sent = OK.replace(b"Length: 2", b"Length: 20")
    async with relayed(lambda r, w: answers(r, w, sent)) as server, server.connected() as (reader, writer):
        writer.write(GET)
        assert await reader.read() == sent
        assert server.seen() == []


@on_the_real_loop
async def test_an_early_answer_comes_before_the_request_has_ended() -> None:
    refused = OK.replace(b"200 OK", b"413 Too Large")
    async with relayed(lambda r, w: answers(r, w, refused)) as server, server.connected() as (reader, writer):
        writer.write(b"POST /upload HTTP/1.1\r\nHost: hs1\r\nContent-Length: 1000\r\n\r\npart")
        assert await reader.read() == refused
        assert [item.status for item in server.exchanges] == [413]


@on_the_real_loop
async def test_continue_comes_before_the_answer() -> None:
    async def ask_for_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answers(reader, writer, b"HTTP/1.1 100 Continue\r\n\r\n")
        await reader.readexactly(4)
        writer.write(OK)

    async with relayed(ask_for_more) as server, server.connected() as (reader, writer):
        writer.write(b"PUT /x HTTP/1.1\r\nHost: hs1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"body")
        assert await reader.read() == OK
        assert [(item.method, item.status) for item in server.exchanges] == [("PUT", 200)]


@on_the_real_loop
async def test_who_reads_slowly_slows_the_server_down() -> None:
    size = 64 << 20
    written = 0

    async def large(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await answers(reader, writer, OK.replace(b"Length: 2", b"Length: %d" % size).removesuffix(b"{}"))
        while written < size:
            writer.write(bytes(1 << 20))
            written += 1 << 20
            await writer.drain()

    async with relayed(large) as server, server.connected() as (reader, writer):
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while written != before:
            before = written
            await asyncio.sleep(0.3)
        assert written < size
        assert len(await reader.readexactly(size)) == size


@on_the_real_loop
async def test_large_requests_arrive_whole() -> None:
    size = 32 << 20

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        assert len(await reader.readexactly(size)) == size
        writer.write(OK)

    async with relayed(count) as server, server.connected() as (reader, writer):
        writer.write(b"POST /upload HTTP/1.1\r\nHost: hs1\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        assert await reader.read() == OK
        assert [item.target for item in server.exchanges] == ["/upload"]


@on_the_real_loop
async def test_an_end_in_one_direction_leaves_the_other_open() -> None:
    async def after_the_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == GET
        writer.write(OK)

    async with relayed(after_the_end) as server, server.connected() as (reader, writer):
        writer.write(GET)
        writer.write_eof()
        assert await reader.read() == OK
        assert len(server.exchanges) == 1


@on_the_real_loop
async def test_what_is_not_http_is_passed_on_unread() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))

    async with relayed(echo) as server, server.connected() as (reader, writer):
        writer.write(b"\x16\x03\x01\x02\x00")
        assert await reader.read() == b"\x16\x03\x01\x02\x00"
        assert server.seen() == []


@on_the_real_loop
async def test_a_client_that_goes_away_takes_its_other_end_with_it() -> None:
    gone = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.read()
        gone.set()

    async with relayed(wait) as server:
        async with server.connected() as (_, writer):
            writer.write(GET)
            await writer.drain()
        await gone.wait()
        assert server.seen() == []


@on_the_real_loop
async def test_where_no_server_listens_the_connection_ends() -> None:
    relay = Relay((HOST, port := free_port()), (HOST, free_port()), print)
    await relay.open()
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(GET)
    with suppress(ConnectionResetError):
        assert await reader.read() == b""
    relay.close()
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)
