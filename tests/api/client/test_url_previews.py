"""GET /media/preview_url."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.core.records.quotas import Kind
from tests.media.images import image
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.web import Web, web

ALLOWED = {"network": {"allow": ["127.0.0.1/32"]}}
PAGE = b"""<title>T</title><meta property="og:title" content="The Rock">
<meta property="og:type" content="video.movie">
<meta property="og:url" content="http://example.org/"><meta property="og:image" content="test.png">"""
PNG = image(279, 129)


@pytest.fixture
async def site() -> AsyncIterator[Web]:
    async with web() as running:
        running.page("/test.html", PAGE)
        running.page("/test.png", PNG, "image/png")
        yield running


@pytest.fixture
async def allowed(tmp_path: Path) -> AsyncIterator[Homeserver]:
    """A homeserver that may reach the web server."""
    async with homeserver(tmp_path, **ALLOWED) as running:
        yield running


async def preview(
    client: Client, url: str, status: int = 200, prefix: str = "/client/v1/media"
) -> dict[str, object]:
    answer: dict[str, object] = await client.request(
        "GET", f"{prefix}/preview_url", params={"url": url}, status=status
    )
    return answer


async def test_a_page_and_its_image(allowed: Homeserver, site: Web) -> None:
    alice = await allowed.register("alice")
    found = await preview(alice, site.url("/test.html"))
    uri = str(found.pop("og:image"))
    assert found == {
        "og:title": "The Rock",
        "og:type": "video.movie",
        "og:url": "http://example.org/",
        "og:image:type": "image/png",
        "og:image:width": 279,
        "og:image:height": 129,
        "matrix:image:size": len(PNG),
    }
    response = await alice.request("GET", f"/client/v1/media/download/{uri.removeprefix('mxc://')}")
    assert response.content == PNG


async def test_it_is_fetched_once_an_hour(allowed: Homeserver, site: Web) -> None:
    alice = await allowed.register("alice")
    url = site.url("/test.html")
    first, second = await asyncio.gather(preview(alice, url), preview(alice, url, prefix="/media/v3"))
    assert first == second
    assert site.requests == ["/test.html", "/test.png"]
    allowed.clock.advance(3_600_000)
    assert await preview(alice, url) == first
    assert len(site.requests) == 4


@pytest.mark.parametrize(("limit", "kept"), [(0, 1), (len(PNG) + 1000, 1), (len(PNG) - 1, 0), (1, 0)])
async def test_where_there_is_no_place_for_images(tmp_path: Path, site: Web, limit: int, kept: int) -> None:
    quotas = {"preview_bytes": {"user": 0, "server": limit}}
    async with homeserver(tmp_path, quotas=quotas, **ALLOWED) as server:
        alice = await server.register("alice")
        for _ in range(2):
            found = await preview(alice, site.url("/test.html"))
            assert found["og:title"] == "The Rock"
            assert ("og:image" in found) == bool(kept)
        assert len([path for path in (tmp_path / "media").rglob("*") if path.is_file()]) == kept
        assert not limit or (await server.services.server.quotas.used())[Kind.PREVIEW_BYTES] <= limit


async def test_images_are_not_kept_for_ever(allowed: Homeserver, site: Web) -> None:
    alice = await allowed.register("alice")
    url = site.url("/test.html")
    image_uri = str((await preview(alice, url))["og:image"]).removeprefix("mxc://")
    path = f"/client/v1/media/download/{image_uri}"
    cleanup = allowed.services.media.media_cleanup
    for _ in range(2):
        # A preview that is made anew has its image kept for as long again.
        allowed.clock.advance(6 * 24 * 3_600_000)
        await cleanup.sweep()
        assert (await alice.request("GET", path)).content == PNG
        await preview(alice, url)
    allowed.clock.advance(8 * 24 * 3_600_000)
    await cleanup.sweep()
    await alice.request("GET", path, status=404)
    await preview(alice, url)
    assert (await alice.request("GET", path)).content == PNG


async def test_slow_pages_of_one_user_hold_up_nobody_else(allowed: Homeserver, site: Web) -> None:
    alice, bob = await allowed.register("alice"), await allowed.register("bob")
    paths = [f"/slow{number}" for number in range(20)]
    site.hang.update(paths)
    slow = [asyncio.create_task(preview(alice, site.url(path))) for path in paths]
    try:
        await asyncio.sleep(0.2)
        async with asyncio.timeout(5):
            assert (await preview(bob, site.url("/test.html")))["og:title"] == "The Rock"
        assert len(set(site.requests) & set(paths)) == 2
    finally:
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)


async def test_an_image_by_itself(allowed: Homeserver, site: Web) -> None:
    alice = await allowed.register("alice")
    found = await preview(alice, site.url("/test.png"))
    assert found["og:image:width"] == 279
    assert str(found["og:image"]).startswith("mxc://test.example/")


async def test_an_image_that_is_none(allowed: Homeserver, site: Web) -> None:
    alice = await allowed.register("alice")
    for body in (b"<script>", b"", PNG[:40]):
        site.page("/test.png", body, "image/png")
        allowed.clock.advance(3_600_000)
        assert await preview(alice, site.url("/test.html")) == {
            "og:title": "The Rock",
            "og:type": "video.movie",
            "og:url": "http://example.org/",
        }


async def test_no_preview(allowed: Homeserver, site: Web) -> None:
    alice = await allowed.register("alice")
    site.page("/text", b"hello", "text/plain")
    site.redirect("/loop", "/loop")
    site.redirect("/inside", site.url("/test.html", "127.0.0.2"))
    for path in ("/missing", "/text", "/loop", "/inside"):
        answer = await preview(alice, site.url(path), 404)
        assert answer["errcode"] == "M_NOT_FOUND"
    count = len(site.requests)
    await preview(alice, site.url("/missing"), 404)
    assert len(site.requests) == count


async def test_a_page_that_never_ends(tmp_path: Path, site: Web) -> None:
    media = {"previews": {"timeout_seconds": 0.3}}
    async with homeserver(tmp_path, media=media, **ALLOWED) as server:
        alice = await server.register("alice")
        site.hang.add("/test.html")
        await preview(alice, site.url("/test.html"), 404)


async def test_only_the_start_of_a_page_is_read(tmp_path: Path, site: Web) -> None:
    media = {"previews": {"max_page_bytes": 70}}
    async with homeserver(tmp_path, media=media, **ALLOWED) as server:
        alice = await server.register("alice")
        assert await preview(alice, site.url("/test.html")) == {"og:title": "The Rock"}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:7f00:1]", "127.1"])
async def test_private_addresses_are_not_asked(alice: Client, site: Web, host: str) -> None:
    await preview(alice, site.url("/test.html", host), 404)
    assert site.requests == []


@pytest.mark.parametrize("url", ["", "file:///etc/passwd", "//example.org", "http://x/" + "y" * 3000])
async def test_urls_that_are_none(alice: Client, url: str) -> None:
    answer = await preview(alice, url, 400)
    assert answer["errcode"] == "M_INVALID_PARAM"


async def test_credentials_in_a_url(alice: Client) -> None:
    await preview(alice, "http://a:b@example.org/", 404)


async def test_previews_can_be_off(tmp_path: Path, site: Web) -> None:
    async with homeserver(tmp_path, media={"previews": {"enabled": False}}, **ALLOWED) as server:
        alice = await server.register("alice")
        await preview(alice, site.url("/test.html"), 403)
        await preview(server.client(), site.url("/test.html"), 401)
    assert site.requests == []
