"""Where devices meet to sign one in by a QR code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.services.oauth.rendezvous import LIFETIME_MS, MAX_DATA
from tests.support.homeserver import Homeserver, homeserver
from tests.support.oauth import BASE

OLD = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous"
NEW = "/client/unstable/io.element.msc4388/rendezvous"
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, public_url=BASE) as running:
        yield running


async def test_it_is_announced_where_it_is_on(server: Homeserver, tmp_path: Path) -> None:
    features = (await server.client().request("GET", "/client/versions"))["unstable_features"]
    assert features["org.matrix.msc4108"]
    assert features["io.element.msc4388"]
    settings = {"public_url": BASE, "oauth": {"qr_login": False}}
    (tmp_path / "off").mkdir()
    async with homeserver(tmp_path / "off", **settings) as off:
        features = (await off.client().request("GET", "/client/versions"))["unstable_features"]
        assert "org.matrix.msc4108" not in features
        assert (await off.http.post(OLD, content=b"x", headers=TEXT)).status_code == 404
        answer = await off.client().request("GET", NEW, status=404)
        assert answer["errcode"] == "M_UNRECOGNIZED"


async def test_two_devices_meet_by_etags(server: Homeserver) -> None:
    begun = await server.http.post(OLD, content=b"hello", headers=TEXT)
    assert begun.status_code == 201
    url = begun.json()["url"].removeprefix(BASE)
    assert begun.headers["x-max-bytes"] == str(MAX_DATA)
    assert begun.headers["expires"].endswith("GMT")
    first = begun.headers["etag"]
    same = await server.http.get(url, headers={"If-None-Match": first})
    assert (same.status_code, same.content) == (304, b"")
    found = await server.http.get(url)
    assert (found.text, found.headers["content-type"]) == ("hello", "text/plain")
    assert found.headers["etag"] == first
    assert (await server.http.put(url, content=b"x", headers=TEXT)).status_code == 400
    put = await server.http.put(url, content=b"answer", headers={**TEXT, "If-Match": first})
    assert put.status_code == 202
    assert put.headers["etag"] != first
    late = await server.http.put(url, content=b"late", headers={**TEXT, "If-Match": first})
    assert (late.status_code, late.json()["errcode"]) == (412, "M_CONCURRENT_WRITE")
    found = await server.http.get(url, headers={"If-None-Match": first})
    assert (found.status_code, found.text) == (200, "answer")
    assert (await server.http.delete(url)).status_code == 204
    assert (await server.http.get(url)).status_code == 404


async def test_two_devices_meet_by_sequence_tokens(server: Homeserver) -> None:
    client = server.client()
    assert await client.request("GET", NEW) == {"create_available": True}
    begun = await client.request("POST", NEW, {"data": "hello"})
    path = f"{NEW}/{begun['id']}"
    assert begun["expires_in_ms"] == LIFETIME_MS
    server.clock.advance(1000)
    found = await client.request("GET", path)
    assert found == {
        "data": "hello",
        "sequence_token": begun["sequence_token"],
        "expires_in_ms": LIFETIME_MS - 1000,
    }
    body = {"sequence_token": begun["sequence_token"], "data": "answer"}
    second = await client.request("PUT", path, body)
    assert second["sequence_token"] != begun["sequence_token"]
    # The answer was lost, and it is asked for again.
    assert await client.request("PUT", path, body) == second
    refused = await client.request("PUT", path, {**body, "data": "other"}, status=409)
    assert refused["errcode"] == "M_CONCURRENT_WRITE"
    await client.request("DELETE", path)
    await client.request("DELETE", path, status=404)


async def test_what_is_left_there_is_small_and_soon_gone(server: Homeserver) -> None:
    client = server.client()
    refused = await client.request("POST", NEW, {"data": "x" * (MAX_DATA + 1)}, status=413)
    assert refused["errcode"] == "M_TOO_LARGE"
    assert (await server.http.post(OLD, content=b"x" * (MAX_DATA + 1), headers=TEXT)).status_code == 413
    assert (await server.http.post(OLD, json={})).status_code == 400
    begun = await client.request("POST", NEW, {"data": "x" * MAX_DATA})
    server.clock.advance(LIFETIME_MS)
    await client.request("GET", f"{NEW}/{begun['id']}", status=404)


async def test_there_are_only_so_many(server: Homeserver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("palpo.services.oauth.rendezvous.MAX_AT_ONCE", 2)
    monkeypatch.setattr("palpo.services.oauth.rendezvous.COUNTED_EACH", 1)
    client, ids = server.client(), []
    for _ in range(4):
        ids.append((await client.request("POST", NEW, {"data": ""}))["id"])
        server.clock.advance(1000)
    found = [(await server.http.get(f"/_matrix{NEW}/{item}")).status_code for item in ids]
    assert found == [404, 404, 200, 200]


async def test_it_is_no_page(server: Homeserver) -> None:
    begun = await server.http.post(OLD, content=b"<script>alert(1)</script>", headers=TEXT)
    url = begun.json()["url"].removeprefix(BASE)
    assert (await server.http.get(url, headers={"Sec-Fetch-Mode": "navigate"})).status_code == 403
    assert (await server.http.get(url)).headers["x-content-type-options"] == "nosniff"
