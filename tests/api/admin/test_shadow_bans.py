"""What shadow-banned users do is answered as ever, and nobody sees it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.homeserver import Client, Homeserver

V1 = "//_synapse/admin/v1"


@pytest.fixture
async def bob(server: Homeserver) -> Client:
    return await server.register("bob")


@pytest.fixture
async def room_id(alice: Client, bob: Client) -> str:
    """Alice's room, in which Bob may do anything."""
    room = await alice.create_room(
        invite=[bob.user_id], power_level_content_override={"users": {bob.user_id: 100}}
    )
    await bob.post(f"/rooms/{room}/join")
    return room


@pytest.fixture
async def banned(admin: Client, bob: Client, room_id: str) -> Client:
    """Bob, shadow-banned in the room."""
    assert await admin.request("POST", f"{V1}/users/{bob.user_id}/shadow_ban", {}) == {}
    return bob


async def seen(client: Client, room_id: str) -> list[dict[str, Any]]:
    """The room's newest events, without what they say to whom."""
    chunk = (await client.get(f"/rooms/{room_id}/messages?dir=b&limit=20"))["chunk"]
    return [{name: value for name, value in event.items() if name != "unsigned"} for event in chunk]


async def test_events(alice: Client, banned: Client, room_id: str) -> None:
    before = await seen(alice, room_id)
    path = f"/rooms/{room_id}/send/m.room.message/1"
    event_id = (await banned.put(path, {"msgtype": "m.text", "body": "x"}))["event_id"]
    assert event_id.startswith("$")
    assert len(event_id) == 44
    assert (await banned.put(path, {"msgtype": "m.text", "body": "x"}))["event_id"] == event_id
    other = (await banned.put(path[:-1] + "2", {"msgtype": "m.text", "body": "x"}))["event_id"]
    assert other != event_id
    state = (await banned.put(f"/rooms/{room_id}/state/m.room.name", {"name": "Mine"}))["event_id"]
    assert state.startswith("$")
    target = before[0]["event_id"]
    redaction = (await banned.put(f"/rooms/{room_id}/redact/{target}/3", {}))["event_id"]
    assert redaction.startswith("$")
    assert await seen(alice, room_id) == before
    assert await seen(banned, room_id) == before
    await alice.get(f"/rooms/{room_id}/event/{event_id}", status=404)


async def test_memberships(server: Homeserver, alice: Client, banned: Client, room_id: str) -> None:
    carol = await server.register("carol")
    public = await alice.create_room(preset="public_chat")
    knocked = await alice.create_room(
        initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "knock"}}]
    )
    before = await seen(alice, room_id)
    for verb in ("invite", "kick", "ban", "unban"):
        target = alice if verb == "kick" else carol
        assert await banned.post(f"/rooms/{room_id}/{verb}", {"user_id": target.user_id}) == {}
    member = f"/rooms/{room_id}/state/m.room.member/{carol.user_id}"
    await banned.put(member, {"membership": "invite"})
    assert await banned.post(f"/join/{public}") == {"room_id": public}
    assert await banned.post(f"/knock/{knocked}") == {"room_id": knocked}
    assert await seen(alice, room_id) == before
    assert len((await alice.get(f"/rooms/{public}/members"))["chunk"]) == 1
    assert len((await alice.get(f"/rooms/{knocked}/members"))["chunk"]) == 1
    assert "invite" not in (await carol.get("/sync")).get("rooms", {})
    await banned.post(f"/rooms/{room_id}/leave")
    assert [item["state_key"] for item in await seen(alice, room_id)][:1] == [banned.user_id]


async def test_rooms_of_ones_own(alice: Client, banned: Client) -> None:
    invite = {"type": "m.room.member", "state_key": alice.user_id, "content": {"membership": "invite"}}
    mine = await banned.create_room(invite=[alice.user_id], visibility="public", initial_state=[invite])
    assert mine in (await banned.get("/joined_rooms"))["joined_rooms"]
    assert "invite" not in (await alice.get("/sync")).get("rooms", {})
    assert (await alice.get("/publicRooms"))["chunk"] == []


async def test_small_signs(alice: Client, banned: Client, room_id: str) -> None:
    since = (await alice.get("/sync"))["next_batch"]
    newest = (await seen(alice, room_id))[0]["event_id"]
    await banned.put(f"/rooms/{room_id}/typing/{banned.user_id}", {"typing": True, "timeout": 30000})
    await banned.post(f"/rooms/{room_id}/receipt/m.read/{newest}")
    await banned.post(f"/rooms/{room_id}/read_markers", {"m.read": newest})
    await banned.put(f"/profile/{banned.user_id}/displayname", {"displayname": "Look at me"})
    # What others are refused, they are: they are not to find out.
    await banned.put(f"/profile/{banned.user_id}/displayname", {"displayname": 5}, status=400)
    await banned.put(f"/presence/{banned.user_id}/status", {"presence": "online", "status_msg": "Look at me"})
    messages = {
        alice.user_id: {"*": {"body": "x"}},
        banned.user_id: {"*": {"body": "x"}},
    }
    await banned.put("/sendToDevice/m.example/1", {"messages": messages})
    synced = await alice.get(f"/sync?since={since}")
    assert "rooms" not in synced or synced["rooms"] == {}
    assert "to_device" not in synced
    assert "Look at me" not in str(synced)
    assert "Look at me" not in str(await alice.get(f"/profile/{banned.user_id}"))
    assert "Look at me" not in str(await alice.post("/user_directory/search", {"search_term": "bob"}))
    assert len((await banned.get("/sync"))["to_device"]["events"]) == 1


async def test_presence(server: Homeserver, admin: Client, alice: Client, room_id: str) -> None:
    """Nobody sees that they are there, whatever their client asks for."""
    bob = await server.login("bob")
    await admin.request("POST", f"{V1}/users/{bob.user_id}/shadow_ban", {})
    for query in "", "?set_presence=online", "?set_presence=unavailable":
        await bob.get(f"/sync{query}")
    sliding = "/client/unstable/org.matrix.simplified_msc3575/sync?set_presence=online"
    await bob.request("POST", sliding, {"lists": {}})
    assert (await alice.get(f"/presence/{bob.user_id}/status"))["presence"] == "offline"
    await admin.request("DELETE", f"{V1}/users/{bob.user_id}/shadow_ban")
    await bob.get("/sync")
    assert (await alice.get(f"/presence/{bob.user_id}/status"))["presence"] == "online"


async def test_what_was_to_be_sent_later(
    server: Homeserver, alice: Client, banned: Client, room_id: str
) -> None:
    before = await seen(alice, room_id)
    delay = "?org.matrix.msc4140.delay=1000"
    await banned.put(f"/rooms/{room_id}/send/m.room.message/later{delay}", {"body": "x"})
    server.clock.advance(2000)
    assert await server.services.rooms.delayed_events.send_due()
    assert await seen(alice, room_id) == before


async def test_errors_are_as_ever(alice: Client, banned: Client) -> None:
    other = await alice.create_room()
    await banned.put(f"/rooms/{other}/send/m.room.message/1", {"body": "x"}, status=403)
    await banned.put("/rooms/!none:test.example/send/m.room.message/1", {"body": "x"}, status=404)


async def test_it_is_lifted(admin: Client, alice: Client, banned: Client, room_id: str) -> None:
    path = f"{V1}/users/{banned.user_id}/shadow_ban"
    user = f"//_synapse/admin/v2/users/{banned.user_id}"
    assert (await admin.request("GET", user))["shadow_banned"] is True
    assert await admin.request("DELETE", path) == {}
    assert (await admin.request("GET", user))["shadow_banned"] is False
    event_id = await banned.send(room_id, "hello")
    assert (await seen(alice, room_id))[0]["event_id"] == event_id
    await admin.request("POST", f"{V1}/users/@a:other.example/shadow_ban", {}, status=400)
    await admin.request("POST", f"{V1}/users/@a:test.example/shadow_ban", {}, status=404)
