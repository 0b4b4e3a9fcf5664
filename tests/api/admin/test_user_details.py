"""What users have and do, for administrators."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from palpo.core.identifiers import UserId
from palpo.core.records.jobs import JobState
from palpo.services.administration.redactions import Wanted
from tests.support.homeserver import Client, Homeserver, homeserver

V1, V2 = "//_synapse/admin/v1", "//_synapse/admin/v2"
NOBODY = "@nobody:test.example"
PNG = b"\x89PNG\r\n\x1a\n and more"


def whose(client: Client, what: str, *, version: str = V1) -> str:
    return f"{version}/users/{client.user_id}/{what}"


@pytest.fixture
async def bob(server: Homeserver) -> Client:
    return await server.register("bob")


async def test_rooms(admin: Client, alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    left = await alice.create_room()
    await alice.post(f"/rooms/{left}/leave")
    await alice.post(f"/rooms/{left}/forget")
    joined = await admin.request("GET", whose(alice, "joined_rooms"))
    assert joined == {"joined_rooms": [room_id], "total": 1}
    found = await admin.request("GET", whose(alice, "memberships"))
    assert found == {"memberships": {room_id: "join", left: "leave"}}
    found = await admin.request("GET", whose(bob, "memberships"))
    assert found == {"memberships": {room_id: "invite"}}
    nobody = await admin.request("GET", f"{V1}/users/{NOBODY}/joined_rooms")
    assert nobody == {"joined_rooms": [], "total": 0}


async def test_counts(server: Homeserver, admin: Client, alice: Client, bob: Client) -> None:
    async def counted(client: Client, from_ts: int) -> tuple[int, int]:
        query = f"?from_ts={from_ts}"
        invites = await admin.request("GET", whose(client, "sent_invite_count") + query)
        joined = await admin.request("GET", whose(client, "cumulative_joined_room_count") + query)
        return invites["invite_count"], joined["cumulative_joined_room_count"]

    first = await alice.create_room(invite=[bob.user_id])
    server.clock.advance(10)
    now = server.clock.now_ms()
    second = await alice.create_room()
    await alice.post(f"/rooms/{second}/invite", {"user_id": bob.user_id})
    await bob.post(f"/rooms/{second}/join")
    await bob.put(f"/profile/{bob.user_id}/displayname", {"displayname": "Bobby"})
    await bob.post(f"/rooms/{second}/leave")
    await bob.post(f"/rooms/{first}/leave")
    assert await counted(alice, 0) == (2, 2)
    assert await counted(alice, now) == (1, 1)
    assert await counted(alice, now + 1) == (0, 0)
    assert await counted(bob, 0) == (0, 1)
    await admin.request("GET", whose(bob, "sent_invite_count"), status=400)


async def test_account_data(admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.put(f"/user/{alice.user_id}/account_data/org.example.a", {"a": 1})
    await alice.put(f"/user/{alice.user_id}/rooms/{room_id}/account_data/org.example.b", {"b": 2})
    assert await admin.request("GET", whose(alice, "accountdata")) == {
        "account_data": {
            "global": {"org.example.a": {"a": 1}},
            "rooms": {room_id: {"org.example.b": {"b": 2}}},
        }
    }
    await admin.request("GET", f"{V1}/users/{NOBODY}/accountdata", status=404)
    await admin.request("GET", f"{V1}/users/@a:other.example/accountdata", status=400)


async def test_pushers(admin: Client, alice: Client) -> None:
    pusher = {
        "app_id": "org.example",
        "pushkey": "key",
        "kind": "http",
        "app_display_name": "Example",
        "device_display_name": "phone",
        "profile_tag": "tag",
        "lang": "en",
        "data": {"url": "https://push.example.org/_matrix/push/v1/notify"},
    }
    assert await admin.request("GET", whose(alice, "pushers")) == {"pushers": [], "total": 0}
    await alice.post("/pushers/set", pusher)
    found = await admin.request("GET", whose(alice, "pushers"))
    assert found == {"pushers": [{**pusher, "enabled": True, "device_id": alice.device_id}], "total": 1}
    await admin.request("GET", f"{V1}/users/{NOBODY}/pushers", status=404)


async def test_who_is_who(server: Homeserver, admin: Client, alice: Client) -> None:
    await server.services.accounts.last_seen.flush()
    found = await admin.request("GET", f"{V1}/whois/{alice.user_id}")
    assert found == {"user_id": alice.user_id, "devices": {"": {"sessions": [{"connections": []}]}}}
    await alice.get("/account/whoami")
    found = await admin.request("GET", f"{V1}/whois/{alice.user_id}")
    (connection,) = found["devices"][""]["sessions"][0]["connections"]
    assert connection["last_seen"] == server.clock.now_ms()
    await server.services.accounts.last_seen.flush()
    user = await admin.request("GET", f"{V2}/users/{alice.user_id}")
    assert user["last_seen_ts"] == server.clock.now_ms()
    await admin.request("GET", f"{V1}/whois/@x:other.example", status=400)


async def upload(client: Client, name: str, content: bytes) -> str:
    answer = await client.request(
        "POST",
        f"/media/v3/upload?filename={name}",
        content=content,
        headers={"Content-Type": "image/png"},
    )
    uri: str = answer["content_uri"]
    return uri.rpartition("/")[2]


async def test_media(server: Homeserver, admin: Client, alice: Client) -> None:
    small = await upload(alice, "small.png", PNG)
    server.clock.advance(1)
    large = await upload(alice, "large.png", PNG * 2)
    found = await admin.request("GET", whose(alice, "media"))
    assert [item["media_id"] for item in found["media"]] == [large, small]
    assert found["total"] == 2
    assert "next_token" not in found
    assert found["media"][1] | {"sha256": "", "created_ts": 0, "authenticated": True} == {
        "media_id": small,
        "media_type": "image/png",
        "media_length": len(PNG),
        "upload_name": "small.png",
        "created_ts": 0,
        "url_cache": None,
        "last_access_ts": None,
        "quarantined_by": None,
        "safe_from_quarantine": False,
        "user_id": alice.user_id,
        "authenticated": True,
        "sha256": "",
    }
    page = await admin.request("GET", whose(alice, "media") + "?limit=1&order_by=media_length")
    assert [item["media_id"] for item in page["media"]] == [small]
    assert page["next_token"] == 1
    for order in ("media_id", "upload_name", "last_access_ts", "media_type", "quarantined_by"):
        page = await admin.request("GET", whose(alice, "media") + f"?order_by={order}&dir=b")
        assert page["total"] == len(page["media"]) == 2
    await admin.request("GET", whose(alice, "media") + "?order_by=colour", status=400)
    await admin.request("GET", f"{V1}/users/{NOBODY}/media", status=404)

    deleted = await admin.request("DELETE", whose(alice, "media") + "?limit=1")
    assert deleted == {"deleted_media": [large], "total": 1}
    path = f"/client/v1/media/download/test.example/{large}"
    await alice.request("GET", path, status=404)
    deleted = await admin.request("DELETE", whose(alice, "media"))
    assert deleted == {"deleted_media": [small], "total": 1}
    await admin.request("DELETE", f"{V1}/users/@a:other.example/media", status=400)


async def test_devices(server: Homeserver, admin: Client, alice: Client) -> None:
    path = whose(alice, "devices", version=V2)
    await server.services.accounts.last_seen.flush()
    assert await admin.request("GET", path) == {
        "devices": [
            {
                "user_id": alice.user_id,
                "device_id": alice.device_id,
                "display_name": None,
                "last_seen_user_agent": None,
                "last_seen_ts": None,
                "last_seen_ip": None,
                "dehydrated": False,
            }
        ],
        "total": 1,
    }
    assert await admin.request("POST", path, {"device_id": "NEW"}, status=201) == {}
    await admin.request("POST", path, {"device_id": "NEW"}, status=201)
    await admin.request("POST", path, {"device_id": ""}, status=400)
    await admin.request("PUT", f"{path}/NEW", {"display_name": "tablet"})
    await admin.request("PUT", f"{path}/NEW", {})
    assert (await admin.request("GET", f"{path}/NEW"))["display_name"] == "tablet"
    await admin.request("DELETE", f"{path}/NEW")
    await admin.request("DELETE", f"{path}/NEW")
    await admin.request("GET", f"{path}/NEW", status=404)
    gone = {"devices": [alice.device_id, "NONE"]}
    await admin.request("POST", whose(alice, "delete_devices", version=V2), gone)
    await alice.get("/account/whoami", status=401)
    await admin.request("POST", whose(alice, "delete_devices", version=V2), {}, status=400)
    await admin.request("PUT", f"{V2}/users/{NOBODY}/devices/X", {}, status=404)


async def redact(server: Homeserver, admin: Client, user_id: str, **body: Any) -> dict[str, Any]:
    """What became of it."""
    answer = await admin.request("POST", f"{V1}/user/{user_id}/redact", {"rooms": [], **body})
    while True:
        found: dict[str, Any] = await admin.request("GET", f"{V1}/user/redact_status/{answer['redact_id']}")
        if found["status"] not in ("scheduled", "active"):
            return found
        await asyncio.sleep(0)


async def bodies(client: Client, room_id: str) -> set[str]:
    chunk = (await client.get(f"/rooms/{room_id}/messages?dir=b&limit=100"))["chunk"]
    return {item["content"]["body"] for item in chunk if "body" in item["content"]}


async def test_redact_events(server: Homeserver, admin: Client, alice: Client, bob: Client) -> None:
    rooms = [await alice.create_room(invite=[bob.user_id]) for _ in range(3)]
    for room_id in rooms[:2]:
        await bob.post(f"/rooms/{room_id}/join")
        await bob.send(room_id, "spam 1")
        await alice.send(room_id, "hello")
        await bob.send(room_id, "spam 2")
    found = await redact(server, admin, bob.user_id, rooms=[rooms[1]], reason="spam", limit=1)
    assert found == {"status": "complete", "failed_redactions": {}}
    assert await bodies(alice, rooms[1]) == {"spam 1", "hello"}
    found = await redact(server, admin, bob.user_id)
    assert found == {"status": "complete", "failed_redactions": {}}
    assert await bodies(alice, rooms[0]) == await bodies(alice, rooms[1]) == {"hello"}
    chunk = (await alice.get(f"/rooms/{rooms[1]}/messages?dir=b&limit=100"))["chunk"]
    redactions = [item for item in chunk if item["type"] == "m.room.redaction"]
    assert {item["sender"] for item in redactions} == {bob.user_id}
    assert [item["content"].get("reason") for item in redactions].count("spam") == 1
    # The user's membership is what it was.
    assert rooms[0] in (await bob.get("/joined_rooms"))["joined_rooms"]


async def test_redact_within_a_time(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id = await alice.create_room()
    for number in range(3):
        server.clock.advance(10)
        await alice.send(room_id, str(number))
    now = server.clock.now_ms()
    await redact(server, admin, alice.user_id, after_ts=now - 10, before_ts=now - 5)
    assert await bodies(alice, room_id) == {"0", "2"}


async def test_what_cannot_be_redacted(server: Homeserver, admin: Client, alice: Client, bob: Client) -> None:
    """Who has left a room redacts nothing there, nor does an administrator who is not in it."""
    room_id = await alice.create_room(invite=[bob.user_id])
    await bob.post(f"/rooms/{room_id}/join")
    event_id = await bob.send(room_id, "spam")
    await bob.post(f"/rooms/{room_id}/leave")
    found = await redact(server, admin, bob.user_id)
    assert found["status"] == "complete"
    assert event_id in found["failed_redactions"]
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": admin.user_id})
    await admin.post(f"/rooms/{room_id}/join")
    found = await redact(server, admin, bob.user_id)
    assert event_id not in found["failed_redactions"]
    assert await bodies(alice, room_id) == set()


async def test_redactions_there_are_not(admin: Client, alice: Client) -> None:
    await admin.request("GET", f"{V1}/user/redact_status/nothing", status=404)
    await admin.request("POST", f"{V1}/user/{alice.user_id}/redact", {}, status=400)
    await admin.request("POST", f"{V1}/user/{alice.user_id}/redact", {"rooms": [], "limit": 0}, status=400)


async def test_redacting_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with homeserver(tmp_path, admins=["@admin:test.example"]) as server:
        alice = await server.register("alice")
        room_id = await alice.create_room()
        for number in range(3):
            await alice.send(room_id, str(number))
        redactions = server.services.administration.user_redactions
        job_id = await redactions.begin(UserId(alice.user_id), Wanted(), by=UserId("@admin:test.example"))
    async with homeserver(tmp_path, admins=["@admin:test.example"]) as server:
        jobs = server.services.server.jobs
        job = await jobs.get(job_id)
        while not job.state.ended:
            job = await jobs.follow(job)
        assert job.state is JobState.COMPLETE
        alice = await server.login("alice")
        assert await bodies(alice, room_id) == set()


async def test_keys_are_replaced_without_a_password(server: Homeserver, admin: Client, alice: Client) -> None:
    def key(public: str) -> dict[str, Any]:
        return {"user_id": alice.user_id, "usage": ["master"], "keys": {f"ed25519:{public}": public}}

    path = whose(alice, "_allow_cross_signing_replacement_without_uia")
    await admin.request("POST", path, {}, status=404)
    first, second, third = ("A" * 42 + letter for letter in "AEI")
    await alice.post("/keys/device_signing/upload", {"master_key": key(first)})
    await alice.post("/keys/device_signing/upload", {"master_key": key(second)}, status=401)
    answer = await admin.request("POST", path, {})
    assert answer == {"updatable_without_uia_before_ms": server.clock.now_ms() + 600_000}
    await alice.post("/keys/device_signing/upload", {"master_key": key(second)})
    await alice.post("/keys/device_signing/upload", {"master_key": key(third)}, status=401)
    await admin.request("POST", path, {})
    server.clock.advance(600_000)
    await alice.post("/keys/device_signing/upload", {"master_key": key(third)}, status=401)


async def test_a_rate_limit_of_ones_own(tmp_path: Path) -> None:
    limits = {"enabled": True, "message": {"per_second": 1, "burst": 2}}
    async with homeserver(tmp_path, admins=["@admin:test.example"], rate_limits=limits) as server:
        admin, alice = await server.register("admin"), await server.register("alice")
        room_id = await alice.create_room()
        path = whose(alice, "override_ratelimit")
        assert await admin.request("GET", path) == {}

        async def sends(count: int) -> None:
            for _ in range(count):
                await alice.send(room_id, "x")
            content = {"msgtype": "m.text", "body": "x"}
            await alice.put(f"/rooms/{room_id}/send/m.room.message/last", content, status=429)

        await sends(2)
        both = {"messages_per_second": 0, "burst_count": 0}
        assert await admin.request("POST", path, {}) == both
        for _ in range(5):
            await alice.send(room_id, "x")
        server.clock.advance(60_000)
        five = {"messages_per_second": 1, "burst_count": 5}
        assert await admin.request("POST", path, five) == five
        assert await admin.request("GET", path) == five
        await sends(5)
        server.clock.advance(60_000)
        assert await admin.request("DELETE", path) == {}
        assert await admin.request("GET", path) == {}
        await sends(2)
        await admin.request("POST", path, {"burst_count": -1}, status=400)
        await admin.request("GET", f"{V1}/users/{NOBODY}/override_ratelimit", status=404)
