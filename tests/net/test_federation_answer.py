"""Answers of other servers: bounded, unzipped, and of no use."""

import asyncio
import gzip
import zlib

import orjson
import pytest
from aiohttp import web

from palpo.net.federation_errors import AnswerTooLarge, BadAnswer, ServerError, ServerUnreachable
from tests.support.federation import PATH, Peer, World, answering, name, peer


async def test_an_error_of_the_other_server(here: World, other: Peer) -> None:
    other.answer = answering(b'{"errcode": "M_FORBIDDEN", "error": "Not you"}', 403)
    with pytest.raises(ServerError, match="Not you") as refused:
        await here.client.json(name(other), "GET", PATH)
    error = refused.value
    assert (error.status, error.errcode, error.server) == (403, "M_FORBIDDEN", name(other))
    assert error.retry_after_ms is None


@pytest.mark.parametrize(
    ("body", "headers", "retry_after_ms"),
    [
        (b'{"retry_after_ms": 1500}', {}, 1500),
        (b'{"retry_after_ms": 1500}', {"Retry-After": "3"}, 3000),
        (b'{"retry_after_ms": 1e300}', {"Retry-After": "soon"}, None),
        (b'{"retry_after_ms": true}', {}, None),
        (b'{"retry_after_ms": -1}', {}, None),
        (b'{"retry_after_ms": 99999999999999}', {}, 86_400_000),
        (b"", {"Retry-After": "9" * 5000}, 86_400_000),
        (b"[]", {}, None),
    ],
)
async def test_when_to_come_back(
    here: World, other: Peer, body: bytes, headers: dict[str, str], retry_after_ms: int | None
) -> None:
    other.answer = answering(body, 429, headers)
    with pytest.raises(ServerError) as refused:
        await here.client.json(name(other), "GET", PATH)
    assert (refused.value.status, refused.value.retry_after_ms) == (429, retry_after_ms)


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"x" * 1_000_000, b'{"error": 1, "errcode": []}', b"[" * 5000, b"\xff"]
)
async def test_errors_that_are_none_of_matrix(here: World, other: Peer, body: bytes) -> None:
    other.answer = answering(body, 502)
    with pytest.raises(ServerError) as refused:
        await here.client.json(name(other), "GET", PATH)
    assert (refused.value.status, refused.value.errcode) == (502, "")
    assert refused.value.message == "status 502"


async def test_long_errors_are_cut(here: World, other: Peer) -> None:
    other.answer = answering(orjson.dumps({"error": "x" * 9000, "errcode": "M" * 9000}), 400)
    with pytest.raises(ServerError) as refused:
        await here.client.json(name(other), "GET", PATH)
    assert len(refused.value.message) == 1000
    assert len(refused.value.errcode) == 100


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 5000, b'{"a": NaN}'])
async def test_answers_that_are_no_json_objects(here: World, other: Peer, body: bytes) -> None:
    other.answer = answering(body)
    with pytest.raises(BadAnswer):
        await here.client.json(name(other), "GET", PATH)


async def test_answers_are_bounded(here: World, other: Peer) -> None:
    other.answer = answering(b"{" + b" " * 98 + b"}")
    assert await here.client.json(name(other), "GET", PATH, limit=100) == {}
    with pytest.raises(AnswerTooLarge):
        await here.client.json(name(other), "GET", PATH, limit=99)


async def test_answers_without_an_end_are_bounded(here: World, other: Peer) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 10_000)

    other.answer = endless
    with pytest.raises(AnswerTooLarge):
        await here.client.json(name(other), "GET", PATH)
    async with here.client.request(name(other), "GET", PATH, limit=10**9) as answer:
        async for _ in answer.chunks():
            break
    other.answer = None
    assert await here.client.json(name(other), "GET", PATH) == {}


async def test_gzip(here: World, other: Peer) -> None:
    value = {"a": ["x" * 200_000]}
    zipped = gzip.compress(orjson.dumps(value))
    other.answer = answering(zipped, headers={"Content-Encoding": "gzip"})
    assert await here.client.json(name(other), "GET", PATH) == value
    assert other.asked[0].headers["Accept-Encoding"] == "gzip"
    other.answer = answering(gzip.compress(b'{"error": "zipped"}'), 400, {"Content-Encoding": "gzip"})
    with pytest.raises(ServerError, match="zipped"):
        await here.client.json(name(other), "GET", PATH)


async def test_gzip_bombs_are_bounded(here: World, other: Peer) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    other.answer = answering(bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(AnswerTooLarge):
        await here.client.json(name(other), "GET", PATH)
    async with here.client.request(name(other), "GET", PATH, limit=60_000_000) as answer:
        sizes = [len(piece) async for piece in answer.chunks()]
    assert sum(sizes) == 50_000_000
    assert max(sizes) <= 64 * 1024


async def test_gzip_of_nothing_is_bounded(here: World, other: Peer) -> None:
    """Blocks that unzip to nothing, without end."""
    packer = zlib.compressobj(wbits=31)
    head = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)

    async def nothing(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        await response.write(head)
        for _ in range(1000):
            await response.write(b"\x00\x00\x00\xff\xff" * 1000)
        return response

    other.answer = nothing
    with pytest.raises(AnswerTooLarge):
        await here.client.json(name(other), "GET", PATH, limit=10_000)


ZIPPED = gzip.compress(b"{}", mtime=0)


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"{}", "gzip"),
        (b"", "gzip"),
        (ZIPPED[:-3], "gzip"),
        (ZIPPED + b"{}", "gzip"),
        (ZIPPED * 2, "gzip"),
        (zlib.compress(b"{}"), "deflate"),
        (b"{}", "br"),
        (ZIPPED, "gzip, gzip"),
    ],
    ids=["no gzip", "empty", "cut", "more after it", "two of them", "deflate", "brotli", "twice"],
)
async def test_encodings_of_no_use(here: World, other: Peer, body: bytes, encoding: str) -> None:
    other.answer = answering(body, headers={"Content-Encoding": encoding})
    with pytest.raises(BadAnswer):
        await here.client.json(name(other), "GET", PATH)


@pytest.mark.parametrize(
    "answer",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b"",
    ],
)
async def test_what_is_no_http(here: World, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    tls = here.authority.serving("a.example")
    async with await asyncio.start_server(speak, "127.0.0.1", 0, ssl=tls) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises((BadAnswer, ServerUnreachable)):
            await here.client.json(f"a.example:{port}", "POST", PATH, content={})


async def test_what_was_sent_is_sent_to_no_other_destination(here: World) -> None:
    tried = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tried
        tried += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    tls = here.authority.serving("a.example")
    here.dns.add("t.example", "A", "127.0.0.1")
    async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=tls) as listening, peer(tls) as other:
        first = listening.sockets[0].getsockname()[1]
        records = [f"1 1 {first} t.example.", f"2 1 {other.port} t.example."]
        here.dns.add("_matrix-fed._tcp.a.example", "SRV", *records)
        with pytest.raises(ServerUnreachable):
            await here.client.json("a.example", "POST", PATH, content={})
        assert (tried, other.asked) == (1, [])
