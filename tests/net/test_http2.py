"""Requests by HTTP/2, to a server that offers nothing else, and to one that does not."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypercorn.asyncio import serve
from hypercorn.config import Config

from palpo.net import http2
from palpo.net.connections import Times
from palpo.net.federation_errors import (
    AnswerTooLarge,
    ServerError,
    ServerTimedOut,
    ServerUnreachable,
)
from tests.support.federation import PATH, World, answering, name, peer, world
from tests.support.process import free_port

MIB = 1024 * 1024


@dataclass
class Modern:
    """What is answered, and what was asked, by HTTP/2."""

    port: int
    status: int = 200
    body: bytes = b"{}"
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    connections: set[int] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    before: Callable[[], Awaitable[None]] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        self.versions.add(scope["http_version"])
        self.connections.add(scope["client"][1])
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        uri = scope["raw_path"].decode()
        if scope["query_string"]:
            uri += "?" + scope["query_string"].decode()
        self.asked.append((scope["method"], uri, headers, bytes(body)))
        if self.before is not None:
            await self.before()
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        for at in range(0, len(self.body), MIB):
            await send({"type": "http.response.body", "body": self.body[at : at + MIB], "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    @property
    def name(self) -> str:
        return f"a.example:{self.port}"


@asynccontextmanager
async def modern(here: World, *, certified: str = "a.example", **options: Any) -> AsyncIterator[Modern]:
    """Run a server that agrees on nothing but HTTP/2."""
    running = Modern(free_port())
    certificate, key = here.authority.files(certified)
    config = Config()
    config.bind = [f"127.0.0.1:{running.port}"]
    config.certfile, config.keyfile = str(certificate), str(key)
    config.alpn_protocols = ["h2"]
    config.graceful_timeout = 0.1
    config.loglevel = "CRITICAL"
    for option, value in options.items():
        setattr(config, option, value)
    over = asyncio.Event()
    serving = asyncio.create_task(serve(running, config, shutdown_trigger=over.wait))  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", running.port)
            except OSError:
                await asyncio.sleep(0.01)
            else:
                writer.close()
                break
    try:
        yield running
    finally:
        over.set()
        await serving


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path, http2=True) as found:
        yield found


async def test_a_request(here: World) -> None:
    async with modern(here) as other:
        other.body = b'{"a": 1}'
        query = [("v", "1 0"), ("v", "\u00e4/&")]
        found = await here.client.json(
            other.name, "PUT", "/a/%21x%2Fy:z/$e", query=query, content={"b": "\u00e4"}, limit=100
        )
        assert found == {"a": 1}
        assert other.versions == {"2"}
        ((method, uri, headers, body),) = other.asked
        assert (method, uri) == ("PUT", "/a/%21x%2Fy:z/$e?v=1%200&v=%C3%A4%2F%26")
        assert orjson.loads(body) == {"b": "\u00e4"}
        assert headers["host"] == other.name
        assert headers["content-type"] == "application/json"
        assert headers["authorization"] == "X-Matrix test 1"
        assert headers["user-agent"] == "test/1"
        assert int(headers["content-length"]) == len(body)


async def test_many_at_once_on_one_connection(here: World) -> None:
    async with modern(here) as other:
        together = asyncio.Barrier(8)

        async def wait() -> None:
            await together.wait()

        other.before = wait
        requests = (here.client.json(other.name, "GET", PATH) for _ in range(8))
        assert await asyncio.gather(*requests) == [{}] * 8
        assert len(other.connections) == 1
        assert here.connections.pools == 0


async def test_a_connection_that_is_over_after_a_few(here: World) -> None:
    """What it did not answer goes on another one."""
    async with modern(here, keep_alive_max_requests=5, keep_alive_timeout=0.2) as other:
        for _ in range(8):
            assert await here.client.json(other.name, "GET", PATH) == {}
        assert len(other.connections) == 2


async def test_a_connection_is_left_before_it_is_ended(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http2, "MAX_REQUESTS", 5)
    async with modern(here, keep_alive_max_requests=5) as other:
        for _ in range(12):
            assert await here.client.json(other.name, "GET", PATH) == {}
        assert len(other.connections) == 3
        assert len(other.asked) == 12


async def test_large_answers(here: World) -> None:
    """One that is too large is left, and takes nothing from those after it."""
    async with modern(here) as other:
        other.body = b"x" * (20 * MIB)
        for _ in range(6):
            with pytest.raises(AnswerTooLarge):
                await read(here, other, limit=5 * MIB)
        assert await read(here, other, limit=30 * MIB) == other.body
        other.body = gzip.compress(b"y" * (8 * MIB))
        other.headers = [(b"content-encoding", b"gzip")]
        assert await read(here, other, limit=8 * MIB) == b"y" * (8 * MIB)
        assert len(other.connections) == 1


async def test_a_large_body(here: World) -> None:
    async with modern(here, h2_max_inbound_frame_size=2**14) as other:
        content = {"x": "z" * (3 * MIB)}
        await here.client.json(other.name, "PUT", "/a", content=content)
        assert orjson.loads(other.asked[0][3]) == content


async def test_an_error(here: World) -> None:
    async with modern(here) as other:
        other.status, other.body = 403, b'{"errcode": "M_FORBIDDEN", "error": "No"}'
        other.headers = [(b"retry-after", b"7")]
        with pytest.raises(ServerError) as failed:
            await here.client.json(other.name, "GET", PATH)
        assert (failed.value.status, failed.value.errcode) == (403, "M_FORBIDDEN")
        assert failed.value.retry_after_ms == 7000


async def test_silence(here: World) -> None:
    """It ends the one request, and no other on the same connection."""
    async with modern(here) as other:
        go = asyncio.Event()

        async def wait() -> None:
            await go.wait()

        other.before = wait
        patient = asyncio.create_task(here.client.json(other.name, "GET", PATH))
        with pytest.raises(ServerTimedOut):
            await here.client.json(other.name, "GET", PATH, times=Times(idle_s=0.2))
        go.set()
        assert await patient == {}
        assert len(other.connections) == 1


async def test_a_server_that_ends(here: World) -> None:
    async with modern(here) as other:

        async def wait() -> None:
            for connection in here.client._connections._there.values():  # type: ignore[attr-defined]
                connection._transport.abort()

        other.before = wait
        with pytest.raises(ServerUnreachable):
            await here.client.json(other.name, "GET", PATH)
        other.before = None
        assert await here.client.json(other.name, "GET", PATH) == {}


async def test_one_that_speaks_the_old_version(here: World) -> None:
    """It is found out once."""
    async with peer(here.authority.serving("a.example")) as other:
        other.answer = answering(b"{}")
        for _ in range(3):
            assert await here.client.json(name(other), "GET", PATH) == {}
        assert len(other.asked) == 3
        assert here.connections.pools == 1
        assert other.asked[0].headers["User-Agent"] == "test/1"


async def test_the_wrong_name(here: World) -> None:
    async with modern(here, certified="b.example") as other:
        with pytest.raises(ServerUnreachable, match="certificate"):
            await here.client.json(other.name, "GET", PATH)
        assert other.asked == []


async def test_addresses_are_put_to_the_policy(tmp_path: Path) -> None:
    async with world(tmp_path, http2=True, allow=()) as here, modern(here) as other:
        with pytest.raises(ServerUnreachable, match="not an address to connect to"):
            await here.client.json(other.name, "GET", PATH)
        assert other.asked == []


async def test_without_it_nothing_is_offered(tmp_path: Path) -> None:
    async with world(tmp_path) as here, modern(here) as other:
        await here.client.json(other.name, "GET", PATH)
        assert other.versions == {"1.1"}


async def read(here: World, other: Modern, *, limit: int) -> bytes:
    async with here.client.request(other.name, "GET", PATH, limit=limit) as answer:
        return await answer.read()
