"""The content repository."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from palpo.core.errors import NotFound
from palpo.media.remote import RemoteContent
from tests.media.images import animation, image, opened
from tests.support.homeserver import Client, Homeserver, homeserver

PNG = image(64, 48)


async def upload(
    client: Client, data: bytes = PNG, filename: str | None = None, content_type: str = "image/png"
) -> str:
    """Upload; server name and media ID, ``test.example/abc``."""
    params = {"filename": filename} if filename is not None else {}
    answer = await client.request(
        "POST", "/media/v3/upload", content=data, params=params, headers={"Content-Type": content_type}
    )
    return str(answer["content_uri"]).removeprefix("mxc://")


async def raw(client: Client, path: str, status: int = 200, **options: Any) -> httpx.Response:
    """GET below /_matrix; the response as it is."""
    headers = {"Authorization": f"Bearer {client.token}", **options.pop("headers", {})}
    if not client.token:
        del headers["Authorization"]
    response = await client.http.get(f"/_matrix{path}", headers=headers, **options)
    assert response.status_code == status, response.text
    return response


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, media={"legacy": True}) as running:
        yield running


async def test_round_trip(server: Homeserver, alice: Client, bob: Client) -> None:
    uri = await upload(alice, PNG, "a b.png")
    response = await raw(bob, f"/client/v1/media/download/{uri}")
    assert response.content == PNG
    assert response.headers["content-type"] == "image/png"
    assert response.headers["content-length"] == str(len(PNG))
    assert response.headers["content-disposition"] == 'inline; filename="a b.png"'
    assert response.headers["content-security-policy"].startswith("sandbox;")
    assert response.headers["cross-origin-resource-policy"] == "cross-origin"
    assert response.headers["cache-control"] == "private, max-age=86400, immutable"
    legacy = await raw(server.client(), f"/media/r0/download/{uri}")
    assert legacy.content == PNG


async def test_the_name_in_the_path_wins(alice: Client) -> None:
    uri = await upload(alice, PNG, "a.png")
    for prefix in ("/client/v1/media", "/media/v3"):
        response = await raw(alice, f"{prefix}/download/{uri}/%E2%98%95")
        assert response.headers["content-disposition"] == "inline; filename*=UTF-8''%E2%98%95"


@pytest.mark.parametrize("content_type", ["image/svg+xml", "text/html", ""])
async def test_unsafe_types_are_attachments(alice: Client, content_type: str) -> None:
    uri = await upload(alice, b"<script>", content_type=content_type)
    response = await raw(alice, f"/client/v1/media/download/{uri}")
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["content-type"] == (content_type or "application/octet-stream")
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_who_may_download(server: Homeserver, alice: Client) -> None:
    uri = await upload(alice)
    await server.client().request("GET", f"/client/v1/media/download/{uri}", status=401)
    guest = await server.client().post("/register?kind=guest", {})
    client = Client(server.http, guest["user_id"], guest["access_token"])
    assert (await raw(client, f"/client/v1/media/download/{uri}")).content == PNG
    await client.request("POST", "/media/v3/upload", content=b"x", status=403)


@pytest.mark.parametrize(
    ("uri", "errcode"),
    [
        ("test.example/nothing", "M_NOT_FOUND"),
        ("other.example/abc", "M_NOT_FOUND"),
        ("test.example/..%2F..%2Fpalpo.db", "M_INVALID_PARAM"),
        ("..%2F..%2Fx/abc", "M_INVALID_PARAM"),
        ("test.example/%00", "M_INVALID_PARAM"),
    ],
)
async def test_what_is_not_there(alice: Client, uri: str, errcode: str) -> None:
    for path in (f"/client/v1/media/download/{uri}", f"/client/v1/media/thumbnail/{uri}?width=1&height=1"):
        assert (await alice.request("GET", path, status=None))["errcode"] == errcode


async def test_part_of_it_and_none_of_it(alice: Client) -> None:
    path = f"/client/v1/media/download/{await upload(alice)}"
    part = await raw(alice, path, 206, headers={"Range": "bytes=1-3"})
    assert part.content == PNG[1:4]
    assert part.headers["content-range"] == f"bytes 1-3/{len(PNG)}"
    beyond = await raw(alice, path, 416, headers={"Range": "bytes=99999-"})
    assert beyond.headers["content-range"] == f"bytes */{len(PNG)}"
    known = await raw(alice, path, 304, headers={"If-None-Match": part.headers["etag"]})
    assert known.content == b""
    await raw(alice, path, 304, headers={"If-None-Match": "*"})
    for validator, status in (
        (part.headers["etag"], 206),
        ('"another"', 200),
        ("Mon, 30 Nov 2026 03:00:00 GMT", 200),
    ):
        answer = await raw(alice, path, status, headers={"Range": "bytes=1-3", "If-Range": validator})
        assert answer.content == (PNG[1:4] if status == 206 else PNG)
        assert ("content-range" in answer.headers) == (status == 206)
    await raw(alice, path, 200, headers={"Range": "bytes=99999-", "If-Range": '"another"'})
    head = await alice.http.head(f"/_matrix{path}", headers={"Authorization": f"Bearer {alice.token}"})
    assert head.headers["content-length"] == str(len(PNG))
    assert head.content == b""


async def test_uploads_have_a_limit(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    async with homeserver(tmp_path, media={"max_upload_bytes": 1000}) as server:
        alice = await server.register("alice")
        await upload(alice, b"x" * 1000)
        for content in (b"x" * 1001, chunks()):
            answer = await alice.request("POST", "/media/v3/upload", content=content, status=413)
            assert answer["errcode"] == "M_TOO_LARGE"
        for path in ("/media/v3/config", "/client/v1/media/config"):
            assert await alice.request("GET", path) == {"m.upload.size": 1000}
    assert len([path for path in (tmp_path / "media").rglob("*") if path.is_file()]) == 1


async def test_a_user_has_a_quota(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"c" * 100

    quota = {"media_bytes": {"user": 1500, "server": 0}}
    async with homeserver(tmp_path, media={"max_upload_bytes": 1000}, quotas=quota) as server:
        alice = await server.register("alice")
        await upload(alice, b"a" * 1000)
        for content in (b"b" * 501, chunks()):
            answer = await alice.request("POST", "/media/v3/upload", content=content, status=403)
            assert answer["errcode"] == "M_USER_LIMIT_EXCEEDED"
            assert answer["info_uri"]
        await alice.request("POST", "/media/v3/upload", content=b"b" * 1001, status=413)
        path = await create(alice)
        await alice.request("PUT", f"/media/v3/upload/{path}", content=b"b" * 501, status=403)
        await alice.request("PUT", f"/media/v3/upload/{path}", content=b"b" * 500)
        await alice.request("POST", "/media/v3/upload", content=b"x", status=403)
        await upload(alice, b"")
        await upload(await server.register("bob"), b"d" * 1000)
    kept = [path.stat().st_size for path in (tmp_path / "media").rglob("*") if path.is_file()]
    assert sorted(kept) == [0, 500, 1000, 1000]


async def test_two_uploads_cannot_share_what_is_left(tmp_path: Path) -> None:
    arrived = asyncio.Barrier(2)

    async def chunks(letter: bytes) -> AsyncIterator[bytes]:
        # Both have been let in before either is stored.
        await arrived.wait()
        yield letter * 600

    async with homeserver(tmp_path, quotas={"media_bytes": {"user": 1000, "server": 0}}) as server:
        alice = await server.register("alice")
        answers = await asyncio.gather(
            *(
                alice.request("POST", "/media/v3/upload", content=chunks(letter), status=None)
                for letter in (b"a", b"b")
            )
        )
    assert sorted(answer.get("errcode", "stored") for answer in answers) == [
        "M_USER_LIMIT_EXCEEDED",
        "stored",
    ]
    assert len([path for path in (tmp_path / "media").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("filename", ["a\0b", "x" * 1025])
async def test_file_names_that_are_refused(alice: Client, filename: str) -> None:
    answer = await alice.request(
        "POST", "/media/v3/upload", content=b"x", params={"filename": filename}, status=400
    )
    assert answer["errcode"] == "M_INVALID_PARAM"


async def create(client: Client) -> str:
    answer = await client.request("POST", "/media/v1/create")
    return str(answer["content_uri"]).removeprefix("mxc://")


async def test_content_that_comes_later(alice: Client, bob: Client) -> None:
    uri = await create(alice)
    waiting = asyncio.create_task(raw(bob, f"/client/v1/media/download/{uri}?timeout_ms=10000"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    headers = {"Content-Type": "image/png"}
    await bob.request("PUT", f"/media/v3/upload/{uri}", content=PNG, status=403)
    answer = await alice.request("PUT", f"/media/v3/upload/{uri}?filename=x", content=PNG, headers=headers)
    assert answer == {}
    response = await asyncio.wait_for(waiting, 5)
    assert response.content == PNG
    assert response.headers["content-disposition"] == 'inline; filename="x"'
    answer = await alice.request("PUT", f"/media/v3/upload/{uri}", content=b"other", status=409)
    assert answer["errcode"] == "M_CANNOT_OVERWRITE_MEDIA"


async def test_content_that_does_not_come(server: Homeserver, alice: Client) -> None:
    created = await alice.request("POST", "/media/v1/create")
    uri = created["content_uri"].removeprefix("mxc://")
    for path in (f"download/{uri}?timeout_ms=20", f"thumbnail/{uri}?width=1&height=1&timeout_ms=0"):
        answer = await alice.request("GET", f"/client/v1/media/{path}", status=504)
        assert answer["errcode"] == "M_NOT_YET_UPLOADED"
    server.clock.advance(created["unused_expires_at"] - server.clock.now_ms())
    await alice.request("GET", f"/client/v1/media/download/{uri}", status=404)
    await alice.request("PUT", f"/media/v3/upload/{uri}", content=PNG, status=404)
    await alice.request("PUT", "/media/v3/upload/test.example/never", content=PNG, status=404)
    await alice.request("PUT", "/media/v3/upload/other.example/never", content=PNG, status=404)


async def test_only_one_of_two_uploads_wins(alice: Client) -> None:
    uri = await create(alice)
    answers = await asyncio.gather(
        *(
            alice.request("PUT", f"/media/v3/upload/{uri}", content=bytes([i]) * 9, status=None)
            for i in (1, 2)
        )
    )
    assert sorted(answer.get("errcode", "") for answer in answers) == ["", "M_CANNOT_OVERWRITE_MEDIA"]


async def test_a_uri_that_expires_while_its_content_comes(server: Homeserver, alice: Client) -> None:
    uri = await create(alice)

    async def slow() -> AsyncIterator[bytes]:
        yield PNG[:10]
        server.clock.advance(24 * 3_600_000)
        await server.services.media.media_cleanup.sweep()
        yield PNG[10:]

    error = await alice.request("PUT", f"/media/v3/upload/{uri}", content=slow(), status=404)
    assert error["errcode"] == "M_NOT_FOUND"


async def test_pending_uploads_have_a_limit(tmp_path: Path) -> None:
    async with homeserver(tmp_path, media={"max_pending": 2, "pending_seconds": 60}) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        uri = await create(alice)
        await create(alice)
        answer = await alice.request("POST", "/media/v1/create", status=429)
        assert answer["errcode"] == "M_LIMIT_EXCEEDED"
        assert answer["retry_after_ms"] == 60_000
        await create(bob)
        await alice.request("PUT", f"/media/v3/upload/{uri}", content=PNG)
        await create(alice)
        server.clock.advance(60_000)
        await create(alice)
        await create(alice)
        assert (await raw(alice, f"/client/v1/media/download/{uri}")).content == PNG


async def test_frozen_endpoints(tmp_path: Path) -> None:
    async with homeserver(tmp_path, media={"legacy": True}) as server:
        alice = await server.register("alice")
        before = await upload(alice)
    async with homeserver(tmp_path) as server:
        alice = await server.login("alice")
        after = await upload(alice)
        later = await create(alice)
        await alice.request("PUT", f"/media/v3/upload/{later}", content=PNG)
        await raw(alice, f"/media/v3/download/{before}")
        for uri in (after, later):
            await alice.request("GET", f"/media/v3/download/{uri}", status=404)
            await alice.request("GET", f"/media/v3/thumbnail/{uri}?width=9&height=9", status=404)
            await raw(alice, f"/client/v1/media/download/{uri}")


async def test_quarantine(server: Homeserver, alice: Client) -> None:
    uri = await upload(alice)
    media_id = uri.split("/")[1]
    await server.services.media.quarantine.quarantine("test.example", media_id, "@admin:test.example")
    await alice.request("GET", f"/client/v1/media/download/{uri}", status=404)
    await alice.request("GET", f"/client/v1/media/thumbnail/{uri}?width=9&height=9", status=404)
    await server.services.media.quarantine.release("test.example", media_id)
    await raw(alice, f"/client/v1/media/download/{uri}")
    with pytest.raises(NotFound):
        await server.services.media.quarantine.quarantine("test.example", "nothing", "@a:b")


@pytest.mark.parametrize(
    ("query", "size"),
    [
        ("width=32&height=32&method=crop", (32, 32)),
        ("width=20&height=20&method=crop", (32, 32)),
        ("width=320&height=240", (480, 240)),
        ("width=300&height=200&method=scale", (480, 240)),
        ("width=5000&height=5000", (800, 400)),
    ],
)
async def test_thumbnails(alice: Client, query: str, size: tuple[int, int]) -> None:
    uri = await upload(alice, image(800, 400))
    for prefix in ("/client/v1/media", "/media/v3"):
        response = await raw(alice, f"{prefix}/thumbnail/{uri}?{query}")
        assert opened(response.content).size == size
        assert response.headers["content-type"] in ("image/png", "image/jpeg")
        assert response.headers["content-disposition"].startswith('inline; filename="thumbnail.')


@pytest.mark.parametrize("method", ["scale", "crop"])
async def test_large_thumbnails_are_no_smaller_than_asked_for(alice: Client, method: str) -> None:
    uri = await upload(alice, image(4200, 2100))
    for width, height in ((2100, 1050), (3000, 1500), (5000, 2500)):
        query = f"width={width}&height={height}&method={method}"
        made = opened((await raw(alice, f"/client/v1/media/thumbnail/{uri}?{query}")).content)
        assert made.width >= min(width, 4200)
        assert made.height >= min(height, 2048)


async def test_a_thumbnail_that_the_client_has(alice: Client) -> None:
    path = f"/_matrix/client/v1/media/thumbnail/{await upload(alice, image(800, 400))}?width=96&height=96"
    headers = {"Authorization": f"Bearer {alice.token}"}
    first = await alice.http.get(path, headers=headers)
    again = await alice.http.get(path, headers={**headers, "If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = await alice.http.get(path, headers={**headers, "Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, first.content[:4])


async def test_animated_thumbnails(alice: Client) -> None:
    path = f"/client/v1/media/thumbnail/{await upload(alice, animation(100, 100), content_type='image/gif')}"
    still = await raw(alice, f"{path}?width=32&height=32&method=crop&animated=false")
    assert still.headers["content-type"] == "image/png"
    moving = await raw(alice, f"{path}?width=32&height=32&method=crop&animated=true")
    assert moving.headers["content-type"] == "image/webp"


async def test_a_thumbnail_is_made_once(server: Homeserver, alice: Client) -> None:
    path = f"/client/v1/media/thumbnail/{await upload(alice, image(800, 400))}?width=96&height=96"
    first, second = await asyncio.gather(raw(alice, path), raw(alice, path))
    await server.services.media.images.close()
    third = await raw(alice, path)
    assert first.content == second.content == third.content
    assert server.services.media.images._idle == []


@pytest.mark.parametrize(
    "query",
    ["", "width=1", "width=0&height=1", "width=-1&height=1", "width=x&height=1", "width=1&height=1&method=x"],
)
async def test_thumbnails_that_make_no_sense(alice: Client, query: str) -> None:
    uri = await upload(alice)
    await alice.request("GET", f"/client/v1/media/thumbnail/{uri}?{query}", status=400)


async def test_what_has_no_thumbnail(tmp_path: Path) -> None:
    async with homeserver(tmp_path, media={"max_pixels": 1000}) as server:
        alice = await server.register("alice")
        for data, status, errcode in ((b"text", 400, "M_UNKNOWN"), (image(64, 64), 413, "M_TOO_LARGE")):
            path = f"/client/v1/media/thumbnail/{await upload(alice, data)}?width=9&height=9"
            assert (await alice.request("GET", path, status=status))["errcode"] == errcode


class OtherServer:
    """Media of another server, counted."""

    def __init__(self) -> None:
        self.fetched = 0

    def fetch(
        self, server_name: str, media_id: str, *, timeout_ms: int
    ) -> AbstractAsyncContextManager[RemoteContent]:
        """Content for any media ID but ``nothing``."""
        return self._fetch(media_id)

    @asynccontextmanager
    async def _fetch(self, media_id: str) -> AsyncIterator[RemoteContent]:
        self.fetched += 1
        if media_id == "nothing":
            raise NotFound("It has none")

        async def chunks() -> AsyncIterator[bytes]:
            yield PNG
            if media_id == "large":
                yield b"x" * 2000

        yield RemoteContent(content_type="image/png", filename="r.png", chunks=chunks())


async def test_media_of_other_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with homeserver(tmp_path, media={"max_upload_bytes": 1000}) as server:
        alice = await server.register("alice")
        other = OtherServer()
        monkeypatch.setattr(server.services.media.media, "_remote", other)
        path = "/client/v1/media/download/other.example/abc"
        await alice.request("GET", f"{path}?allow_remote=false", status=404)
        first, second = await asyncio.gather(raw(alice, path), raw(alice, path))
        assert first.content == second.content == PNG
        assert first.headers["content-disposition"] == 'inline; filename="r.png"'
        await raw(alice, f"{path}?allow_remote=false")
        assert other.fetched == 1
        large = await alice.request("GET", "/client/v1/media/download/other.example/large", status=502)
        assert large["errcode"] == "M_TOO_LARGE"
        await alice.request("GET", "/client/v1/media/download/other.example/nothing", status=404)
        thumbnail = await raw(alice, "/client/v1/media/thumbnail/other.example/abc?width=32&height=32")
        assert opened(thumbnail.content).height == 32
