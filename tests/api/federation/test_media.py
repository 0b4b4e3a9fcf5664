"""Media of other servers, and ours for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image

from palpo.core.multipart import Multipart, Part, boundary_of
from palpo.core.records.quotas import Kind
from tests.support.federation import Asked
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town, pair
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.web import web as elsewhere

REMOTE = "remote.example"
DOWNLOAD = "/_matrix/federation/v1/media/download/abc"
LEGACY = "/_matrix/media/v3/download/remote.example/abc"
PATH = "//_matrix/client/v1/media/download/remote.example/abc"


@pytest.fixture
async def server(town: Town) -> AsyncIterator[Homeserver]:
    async with town.homeserver("hs1.test", media={"max_upload_bytes": 100_000}) as server:
        yield server


def multipart(content: bytes, headers: str = "Content-Type: text/plain\r\n") -> Any:
    body = b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b\r\n" + headers.encode() + b"\r\n"
    body += content + b"\r\n--b--\r\n"
    return plain(body, "multipart/mixed; boundary=b")


def plain(body: bytes, content_type: str, **headers: str) -> Any:
    async def answer(asked: Asked) -> web.Response:
        return web.Response(body=body, headers={"Content-Type": content_type, **headers})

    return answer


def error(status: int, errcode: str) -> Any:
    async def answer(asked: Asked) -> web.Response:
        return web.json_response({"errcode": errcode, "error": "No"}, status=status)

    return answer


async def test_two_servers(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        stream = BytesIO()
        Image.new("RGB", (200, 100)).save(stream, "PNG")
        uri = (
            await alice.request(
                "POST",
                "//_matrix/media/v3/upload?filename=tea%20%F0%9F%8D%B5.png",
                headers={"Content-Type": "image/png"},
                content=stream.getvalue(),
            )
        )["content_uri"]
        path = f"//_matrix/client/v1/media/download/{uri.removeprefix('mxc://')}"
        answer = await bob.request("GET", path)
        assert answer.content == stream.getvalue()
        assert answer.headers["content-type"] == "image/png"
        assert "filename*=UTF-8''tea%20%F0%9F%8D%B5.png" in answer.headers["content-disposition"]
        path = f"//_matrix/client/v1/media/thumbnail/{uri.removeprefix('mxc://')}?width=32&height=32"
        assert (await bob.request("GET", path)).headers["content-type"] == "image/png"


async def test_served(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    uri = (
        await alice.request(
            "POST", "//_matrix/media/v3/upload", headers={"Content-Type": "text/html"}, content=b"<p>"
        )
    )["content_uri"]
    path = f"/_matrix/federation/v1/media/download/{uri.rpartition('/')[2]}"
    response = await remote.raw(server, "GET", path)
    pieces = list(Multipart(boundary_of(response.headers["content-type"])).feed(response.content))
    assert [piece.headers if isinstance(piece, Part) else piece for piece in pieces] == [
        {"content-type": "application/json"},
        b"{}",
        {"content-type": "text/html", "content-disposition": "attachment"},
        b"<p>",
    ]
    await remote.ask(server, "GET", "/_matrix/federation/v1/media/download/none", status=404)
    await remote.ask(server, "GET", path.replace("download", "thumbnail"), status=400)


async def test_several_parts(remote: RemoteServer, alice: Client) -> None:
    remote.answers["GET", DOWNLOAD] = multipart(
        b"hello", "content-type: text/plain\r\ncontent-disposition: attachment; filename=a.txt\r\n"
    )
    for _ in range(2):
        answer = await alice.request("GET", PATH)
        assert (answer.content, answer.headers["content-type"]) == (b"hello", "text/plain")
        assert answer.headers["content-disposition"] == 'inline; filename="a.txt"'
    assert len(remote.asked) == 1
    assert "Authorization" in remote.asked[0].headers


async def test_redirect(remote: RemoteServer, alice: Client) -> None:
    async with elsewhere() as site:
        site.page("/there", b"hello", content_type="text/plain")
        location = f"Location: {site.url('/there')}\r\n"
        remote.answers["GET", DOWNLOAD] = multipart(b"", location)
        assert (await alice.request("GET", PATH)).content == b"hello"


async def test_redirects_to_addresses_that_are_not_allowed(town: Town) -> None:
    network = {"allow": ["127.0.0.0/8"], "deny": ["127.0.0.1/32"]}
    async with (
        town.homeserver("hs1.test", network=network) as server,
        remote_server(town, REMOTE, now_ms=server.clock.now_ms) as remote,
        elsewhere() as site,
    ):
        alice = await server.register("alice")
        site.page("/there", b"hello")
        for location in (site.url("/there"), "file:///etc/passwd", "http://[::1]/", "/there", "\0"):
            remote.answers["GET", DOWNLOAD] = multipart(b"", f"Location: {location}\r\n")
            await alice.request("GET", PATH, status=502)
        assert not site.connections


async def test_servers_without_the_endpoint(remote: RemoteServer, alice: Client) -> None:
    remote.answers["GET", LEGACY] = plain(b"old", "image/png")
    assert (await alice.request("GET", PATH)).content == b"old"
    assert "Authorization" not in remote.asked[-1].headers
    assert "allow_remote=false" in remote.asked[-1].uri


async def test_those_downloaded_first_make_room(town: Town) -> None:
    quotas = {"remote_media_bytes": {"user": 0, "server": 2000}}
    async with (
        town.homeserver("hs1.test", quotas=quotas) as server,
        remote_server(town, REMOTE, now_ms=server.clock.now_ms) as remote,
    ):
        alice = await server.register("alice")
        remote.answers["GET", DOWNLOAD[:-3]] = lambda asked: multipart(asked.uri.encode() * 10)(asked)
        for name in ("one", "two", "three", "three", "four"):
            server.clock.advance(1)
            await alice.request("GET", PATH.replace("abc", name))
        used = await server.services.server.quotas.used()
        assert 1500 < used[Kind.REMOTE_MEDIA_BYTES] <= 2000
        folder = town.folder / "hs1.test" / "media"
        kept = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
        assert sum(kept) == used[Kind.REMOTE_MEDIA_BYTES]
        assert len(remote.asked) == 4
        await server.services.media.media_cleanup.delete(REMOTE, "four")
        used = await server.services.server.quotas.used()
        assert used[Kind.REMOTE_MEDIA_BYTES] < 1200


async def test_what_is_no_content(remote: RemoteServer, alice: Client) -> None:
    for answer, status in (
        (error(404, "M_NOT_FOUND"), 404),
        (error(403, "M_FORBIDDEN"), 404),
        (error(500, "M_UNKNOWN"), 502),
        (error(504, "M_NOT_YET_UPLOADED"), 504),
        (multipart(b"x" * 200_000), 502),
        (plain(b"--b\r\n\r\n", "multipart/mixed; boundary=b"), 502),
        (plain(b"--b\r\n\r\n{}\r\n--b--", "multipart/mixed; boundary=b"), 502),
        (plain(b"", "multipart/mixed"), 502),
    ):
        remote.answers["GET", DOWNLOAD] = answer
        await alice.request("GET", PATH, status=status)
    remote.answers["GET", DOWNLOAD] = multipart(b"now")
    assert (await alice.request("GET", PATH)).content == b"now"
