"""Simplified sliding sync (MSC4186): rooms that the user is invited to, has left or was thrown out of."""

from __future__ import annotations

import json

from tests.support.homeserver import Client
from tests.sync.sliding import BASIC, Connection, all_rooms, bodies, keys, members

MEMBER = "m.room.member"


async def test_invites(alice: Client, bob: Client) -> None:
    connection = all_rooms(bob)
    await connection.sync()
    room_id = await alice.create_room(name="Tea", invite=[bob.user_id])
    room = (await connection.rooms())[room_id]
    assert room["membership"] == "invite"
    assert room["initial"] is True
    assert {"m.room.create", "m.room.name", MEMBER} <= {event["type"] for event in room["invite_state"]}
    assert room["stripped_state"] == room["invite_state"]
    assert room["bump_stamp"] > 0
    assert "timeline" not in room
    await alice.send(room_id, "not yet for bob")
    assert await connection.rooms() == {}
    await bob.post(f"/join/{room_id}")
    room = (await connection.rooms())[room_id]
    assert room["membership"] == "join"
    assert room["initial"] is True
    assert room["name"] == "Tea"
    assert "invite_state" not in room


async def test_a_rejected_invite_is_told_once(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(invite=[bob.user_id])
    connection = all_rooms(bob, state=[[MEMBER, "$ME"]])
    await connection.sync()
    await bob.post(f"/rooms/{room_id}/leave")
    room = (await connection.rooms())[room_id]
    assert room["membership"] == "leave"
    assert members(room) == {bob.user_id}
    assert await connection.rooms() == {}
    assert await all_rooms(bob, "fresh").rooms() == {}


async def test_left_rooms_are_told_once(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    connection = all_rooms(bob, state=[[MEMBER, "$ME"]])
    await connection.sync()
    await alice.send(room_id, "last words")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.send(room_id, "secret")
    answer = await connection.sync()
    room = answer["rooms"][room_id]
    assert room["membership"] == "leave"
    assert bodies(room) == ["last words"]
    assert room["timeline"][-1]["content"]["membership"] == "leave"
    assert members(room) == {bob.user_id}
    assert answer["lists"]["all"]["count"] == 0
    assert await connection.rooms() == {}
    assert await all_rooms(bob, "fresh").rooms() == {}
    await bob.post(f"/join/{room_id}")
    room = (await connection.rooms())[room_id]
    assert room["initial"] is True
    assert room["membership"] == "join"


async def test_a_room_that_was_left_and_forgotten_is_told(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    connection = all_rooms(bob)
    await connection.sync()
    await bob.post(f"/rooms/{room_id}/leave")
    await bob.post(f"/rooms/{room_id}/forget")
    assert (await connection.rooms())[room_id]["membership"] == "leave"
    assert await connection.rooms() == {}


async def test_kicked_and_banned_rooms_stay(alice: Client, bob: Client) -> None:
    kicked, banned, stranger = [await alice.create_room(preset="public_chat") for _ in range(3)]
    for room_id in (kicked, banned):
        await bob.post(f"/join/{room_id}")
    connection = all_rooms(bob)
    await connection.sync()
    await alice.post(f"/rooms/{kicked}/kick", {"user_id": bob.user_id})
    await alice.post(f"/rooms/{banned}/ban", {"user_id": bob.user_id})
    await alice.post(f"/rooms/{stranger}/ban", {"user_id": bob.user_id})
    await alice.send(kicked, "secret")
    rooms = await connection.rooms()
    assert {room_id: room["membership"] for room_id, room in rooms.items()} == {
        kicked: "leave",
        banned: "ban",
    }
    assert bodies(rooms[kicked]) == []
    assert await connection.rooms() == {}
    fresh = await all_rooms(bob, "fresh").sync()
    assert set(fresh["rooms"]) == {kicked, banned}
    assert fresh["lists"]["all"]["count"] == 2
    assert bodies(fresh["rooms"][kicked]) == []


async def test_left_rooms_can_be_subscribed_to(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "hello")
    await bob.post(f"/rooms/{room_id}/leave")
    await alice.send(room_id, "secret")
    subscription = {room_id: {"timeline_limit": 10, "required_state": BASIC}}
    connection = Connection(bob, room_subscriptions=subscription)
    room = (await connection.rooms())[room_id]
    assert room["membership"] == "leave"
    assert bodies(room) == ["hello"]
    assert await connection.rooms() == {}


async def test_knocks(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(name="Tea", room_version="10")
    await alice.put(f"/rooms/{room_id}/state/m.room.join_rules", {"join_rule": "knock"})
    connection = all_rooms(bob)
    await connection.sync()
    await bob.post(f"/knock/{room_id}")
    room = (await connection.rooms())[room_id]
    assert room["membership"] == "knock"
    assert "m.room.name" in {event["type"] for event in room["stripped_state"]}


async def test_ignored_users(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    invitation = await bob.create_room(invite=[alice.user_id])
    connection = all_rooms(alice)
    assert set(await connection.rooms()) == {room_id, invitation}
    ignored = {"ignored_users": {bob.user_id: {}}}
    await alice.put(f"/user/{alice.user_id}/account_data/m.ignored_user_list", ignored)
    await bob.create_room(invite=[alice.user_id])
    await bob.send(room_id, "hear me")
    answer = await connection.sync()
    assert answer["rooms"] == {}
    assert answer["lists"]["all"]["count"] == 1
    await alice.send(room_id, "silence")
    assert bodies((await connection.rooms())[room_id]) == ["silence"]
    await alice.put(f"/user/{alice.user_id}/account_data/m.ignored_user_list", {})
    assert (await connection.sync())["lists"]["all"]["count"] == 3


async def test_invites_that_are_not_wanted_are_not_shown(alice: Client, bob: Client) -> None:
    connection = all_rooms(bob)
    await connection.sync()
    path = f"/user/{bob.user_id}/account_data/org.matrix.msc4155.invite_permission_config"
    await bob.put(path, {"ignored_users": [alice.user_id]})
    room_id = await alice.create_room(invite=[bob.user_id])
    assert await connection.rooms() == {}
    await bob.put(path, {})
    assert (await connection.rooms())[room_id]["membership"] == "invite"


async def test_a_kicked_room_has_the_name_and_state_that_were_left_behind(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    await alice.put(f"/rooms/{room_id}/state/m.room.avatar", {"url": "mxc://a/b"})
    await bob.post(f"/join/{room_id}")
    connection = all_rooms(bob, state=[*BASIC, [MEMBER, "$ME"]])
    await connection.sync()
    await alice.post(f"/rooms/{room_id}/kick", {"user_id": bob.user_id})
    for type_, content in (("m.room.name", {"name": "Secret"}), ("m.room.avatar", {"url": "mxc://a/secret"})):
        await alice.put(f"/rooms/{room_id}/state/{type_}", content)
    await alice.post(f"/rooms/{room_id}/ban", {"user_id": bob.user_id})
    for number, follower in enumerate((connection, all_rooms(bob, "fresh", state=[["*", "*"]]))):
        room = (await follower.rooms())[room_id]
        assert room["membership"] == "ban"
        assert "ecret" not in json.dumps(room)
        own = [event for event in room["required_state"] if event["state_key"] == bob.user_id]
        assert [event["content"]["membership"] for event in own] == ["ban"]
        assert "joined_count" not in room
        if number == 1:
            assert (room["name"], room["avatar"]) == ("Tea", "mxc://a/b")
            assert ("m.room.name", "") in keys(room)


async def test_a_room_with_an_alias_and_no_name_has_heroes(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", room_alias_name="tea")
    await bob.post(f"/join/{room_id}")
    room = (await all_rooms(alice).rooms())[room_id]
    assert [hero["user_id"] for hero in room["heroes"]] == [bob.user_id]


async def test_rooms_are_told_of_without_a_timeline_too(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    connection = all_rooms(alice, limit=0)
    before = (await connection.rooms())[room_id]
    await bob.send(room_id, "hello")
    room = (await connection.rooms())[room_id]
    assert room["timeline"] == []
    assert room["limited"] is True
    assert room["bump_stamp"] > before["bump_stamp"]
    assert room["notification_count"] == 1
