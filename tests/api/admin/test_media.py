"""Media, for administrators."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from tests.support.homeserver import Client, Homeserver

MEDIA = "//_synapse/admin/v1/media"
ROOM = "//_synapse/admin/v1/room"
PNG = b"\x89PNG\r\n\x1a\n and more"
DAY_MS = 24 * 3600 * 1000


async def upload(client: Client, content: bytes = PNG) -> str:
    """The ID of what was uploaded."""
    answer = await client.request("POST", "/media/v3/upload", content=content)
    uri: str = answer["content_uri"]
    return uri.rpartition("/")[2]


async def download(client: Client, media_id: str, *, status: int = 200, query: str = "") -> None:
    path = f"/client/v1/media/download/test.example/{media_id}{query}"
    await client.request("GET", path, status=status)


async def admin_post(admin: Client, path: str, *, status: int = 200) -> Any:
    return await admin.request("POST", path, {}, status=status)


async def picture(client: Client, room_id: str, media_id: str, **content: Any) -> None:
    uri = f"mxc://test.example/{media_id}"
    body = {"msgtype": "m.image", "body": "x", "url": uri, **content}
    await client.put(f"/rooms/{room_id}/send/m.room.message/{client.transaction_id()}", body)


async def test_what_is_known_of_a_file(admin: Client, alice: Client) -> None:
    media_id = await upload(alice)
    info = (await admin.request("GET", f"{MEDIA}/test.example/{media_id}"))["media_info"]
    assert {
        "media_origin": "test.example",
        "user_id": alice.user_id,
        "media_id": media_id,
    }.items() <= info.items()
    assert info["media_length"] == len(PNG)
    assert len(info["sha256"]) == 64
    assert info["last_access_ts"] is None
    assert info["quarantined_by"] is None
    assert info["safe_from_quarantine"] is False
    await admin.request("GET", f"{MEDIA}/test.example/nothing", status=404)


async def test_when_it_was_asked_for(server: Homeserver, admin: Client, alice: Client) -> None:
    media_id = await upload(alice)
    await download(alice, media_id)
    await server.services.media.media_accesses.flush()
    info = (await admin.request("GET", f"{MEDIA}/test.example/{media_id}"))["media_info"]
    assert info["last_access_ts"] == server.clock.now_ms()


async def test_quarantine_is_by_content(admin: Client, alice: Client) -> None:
    first, same, other = await upload(alice), await upload(alice), await upload(alice, b"other")
    await admin_post(admin, f"{MEDIA}/quarantine/test.example/{first}")
    later = await upload(alice)
    created = (await alice.request("POST", "/media/v1/create"))["content_uri"].removeprefix("mxc://")
    await alice.request("PUT", f"/media/v3/upload/{created}", content=PNG)
    for media_id in (first, same, later, created.rpartition("/")[2]):
        await download(alice, media_id, status=404)
    await download(alice, other)
    await admin_post(admin, f"{MEDIA}/unquarantine/test.example/{same}")
    for media_id in (first, same, later):
        await download(alice, media_id)
    await download(alice, await upload(alice))
    await admin_post(admin, f"{MEDIA}/quarantine/test.example/nothing", status=404)


async def test_who_sees_it_all_the_same(admin: Client, alice: Client) -> None:
    media_id = await upload(alice)
    await admin_post(admin, f"{MEDIA}/quarantine/test.example/{media_id}")
    query = "?admin_unsafely_bypass_quarantine=true"
    await download(admin, media_id, status=404)
    await download(admin, media_id, query=query)
    await download(alice, media_id, query=query, status=404)


async def test_protected_media(admin: Client, alice: Client) -> None:
    kept, gone = await upload(alice), await upload(alice, b"other")
    await admin_post(admin, f"{MEDIA}/protect/{kept}")
    answer = await admin_post(admin, f"//_synapse/admin/v1/user/{alice.user_id}/media/quarantine")
    assert answer == {"num_quarantined": 1}
    await download(alice, kept)
    await download(alice, gone, status=404)
    await admin_post(admin, f"{MEDIA}/unprotect/{kept}")
    answer = await admin_post(admin, f"//_synapse/admin/v1/user/{alice.user_id}/media/quarantine")
    assert answer == {"num_quarantined": 1}
    await download(alice, kept, status=404)
    await admin_post(admin, f"{MEDIA}/protect/nothing", status=404)


async def test_media_of_a_room(admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    shown, thumbnail, elsewhere = (
        await upload(alice),
        await upload(alice, b"small"),
        await upload(alice, b"x"),
    )
    await picture(alice, room_id, shown, info={"thumbnail_url": f"mxc://test.example/{thumbnail}"})
    await picture(alice, room_id, "ignored", url="mxc://other.example/abc")
    await picture(alice, room_id, "ignored", url="no URI", info="none", file=3)
    await alice.put(f"/profile/{alice.user_id}/avatar_url", {"avatar_url": f"mxc://test.example/{elsewhere}"})
    found = await admin.request("GET", f"{ROOM}/{room_id}/media")
    assert found == {
        "local": [f"mxc://test.example/{shown}", f"mxc://test.example/{thumbnail}"],
        "remote": ["mxc://other.example/abc"],
    }
    assert await admin_post(admin, f"{ROOM}/{room_id}/media/quarantine") == {"num_quarantined": 2}
    assert await admin_post(admin, f"//_synapse/admin/v1/quarantine_media/{room_id}") == {
        "num_quarantined": 0
    }
    await download(alice, thumbnail, status=404)
    await download(alice, elsewhere)
    await admin.request("GET", f"{ROOM}/!nothing:test.example/media", status=404)


async def test_changes(admin: Client, alice: Client) -> None:
    media_id = await upload(alice)
    for verb in ("quarantine", "quarantine", "unquarantine"):
        await admin_post(admin, f"{MEDIA}/{verb}/test.example/{media_id}")
    changes = await admin.request("GET", f"{MEDIA}/quarantine_changes")
    assert [item["quarantined"] for item in changes["changes"]] == [True, False]
    later = await admin.request("GET", f"{MEDIA}/quarantine_changes?from={changes['next_batch']}")
    assert later == {"next_batch": changes["next_batch"], "changes": []}


async def test_deletion(server: Homeserver, admin: Client, alice: Client) -> None:
    media_id = await upload(alice)
    await admin.request("DELETE", f"{MEDIA}/other.example/{media_id}", status=400)
    answer = await admin.request("DELETE", f"{MEDIA}/test.example/{media_id}")
    assert answer == {"deleted_media": [media_id], "total": 1}
    await download(alice, media_id, status=404)
    await admin.request("DELETE", f"{MEDIA}/test.example/{media_id}", status=404)


async def test_deletion_by_date_and_size(server: Homeserver, admin: Client, alice: Client) -> None:
    small, large, used = (
        await upload(alice),
        await upload(alice, b"x" * 1000),
        await upload(alice, b"y" * 1000),
    )
    avatar, of_room = await upload(alice, b"a" * 1000), await upload(alice, b"r" * 1000)
    await alice.put(f"/profile/{alice.user_id}/avatar_url", {"avatar_url": f"mxc://test.example/{avatar}"})
    room_id = await alice.create_room()
    await alice.put(f"/rooms/{room_id}/state/m.room.avatar", {"url": f"mxc://test.example/{of_room}"})
    server.clock.advance(DAY_MS)
    await download(alice, used)
    await server.services.media.media_accesses.flush()
    before = server.clock.now_ms()
    answer = await admin_post(admin, f"{MEDIA}/delete?before_ts={before}&size_gt=999")
    assert answer == {"deleted_media": [large], "total": 1}
    path = f"{MEDIA}/test.example/delete?before_ts={before}&size_gt=0&keep_profiles=false"
    answer = await admin_post(admin, path)
    assert sorted(answer["deleted_media"]) == sorted([small, avatar, of_room])
    await download(alice, used)
    await admin_post(admin, f"{MEDIA}/delete", status=400)
    await admin_post(admin, f"{MEDIA}/other.example/delete?before_ts=1", status=400)


async def test_two_deletions_at_once(server: Homeserver, alice: Client) -> None:
    names = [await upload(alice, f"content {number}".encode()) for number in range(20)]
    server.clock.advance(DAY_MS)
    delete = partial(
        server.services.administration.media.delete_old,
        before_ts=server.clock.now_ms(),
        larger_than=0,
        keep_pictures=False,
    )
    first, second = await asyncio.gather(delete(), delete())
    assert sorted(first + second) == sorted(names), "each is told of once"


async def test_purging_what_is_of_others(server: Homeserver, admin: Client) -> None:
    assert await admin_post(admin, "//_synapse/admin/v1/purge_media_cache?before_ts=1") == {"deleted": 0}
    await admin_post(admin, "//_synapse/admin/v1/purge_media_cache", status=400)
