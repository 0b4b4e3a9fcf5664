"""POST /rooms/{roomId}/upgrade."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from palpo.core.room_versions import room_version
from palpo.services.history.drafts import Draft
from palpo.services.personal.account_data import MAX_TAGS
from palpo.services.rooms.room_upgrades import AT_ONCE
from tests.support.homeserver import Client, Homeserver


async def upgrade(client: Client, room_id: str, version: str, **more: Any) -> str:
    body = {"new_version": version, **more}
    new_id: str = (await client.post(f"/rooms/{room_id}/upgrade", body))["replacement_room"]
    return new_id


async def state(client: Client, room_id: str, key: str) -> dict[str, Any]:
    content: dict[str, Any] = await client.get(f"/rooms/{room_id}/state/{key}")
    return content


@pytest.mark.parametrize(("old", "new"), [("1", "12"), ("11", "12"), ("12", "12"), ("12", "10"), ("6", "2")])
async def test_a_room_moves(server: Homeserver, alice: Client, bob: Client, old: str, new: str) -> None:
    room_id = await alice.create_room(
        room_version=old,
        preset="public_chat",
        visibility="public",
        room_alias_name="moving",
        name="Here",
        creation_content={"type": "m.space"},
    )
    await bob.post(f"/join/{room_id}")
    await alice.post(f"/rooms/{room_id}/ban", {"user_id": "@eve:test.example"})
    new_id = await upgrade(alice, room_id, new)
    assert (await state(alice, room_id, "m.room.tombstone"))["replacement_room"] == new_id
    create = await state(alice, new_id, "m.room.create")
    assert create["type"] == "m.space"
    assert create["predecessor"]["room_id"] == room_id
    assert ("event_id" in create["predecessor"]) == (new != "12")
    assert await state(alice, new_id, "m.room.name") == {"name": "Here"}
    assert await state(alice, new_id, "m.room.canonical_alias") == {"alias": "#moving:test.example"}
    assert await state(alice, room_id, "m.room.canonical_alias") == {}
    assert (await state(alice, new_id, "m.room.member/@eve:test.example"))["membership"] == "ban"
    levels = await state(alice, new_id, "m.room.power_levels")
    assert (alice.user_id in levels["users"]) == (new != "12")
    closed = await state(alice, room_id, "m.room.power_levels")
    assert closed["events_default"] == closed["invite"] == 50
    assert (await alice.get("/directory/room/%23moving:test.example"))["room_id"] == new_id
    listed = (await alice.get("/publicRooms"))["chunk"]
    assert [room["room_id"] for room in listed] == [new_id]
    await bob.post(f"/join/{new_id}")
    await alice.put(f"/rooms/{new_id}/state/m.room.power_levels", {**levels, "kick": 60})


async def test_creators_of_the_new_room(server: Homeserver, alice: Client, bob: Client) -> None:
    carol = await server.register("carol")
    users = {alice.user_id: 100, bob.user_id: 100, carol.user_id: 50}
    room_id = await alice.create_room(room_version="11", power_level_content_override={"users": users})
    new_id = await upgrade(alice, room_id, "12", additional_creators=[bob.user_id])
    assert (await state(alice, new_id, "m.room.create"))["additional_creators"] == [bob.user_id]
    levels = await state(alice, new_id, "m.room.power_levels")
    assert levels["users"] == {carol.user_id: 50}
    assert levels["events"]["m.room.tombstone"] == 150


async def test_an_upgrade_by_somebody_with_just_enough_power(alice: Client, bob: Client) -> None:
    users = {alice.user_id: 100, bob.user_id: 50}
    override = {"users": users, "events": {"m.room.tombstone": 50, "m.room.server_acl": 100}}
    acl = {"type": "m.room.server_acl", "content": {"allow": ["*"]}}
    room_id = await alice.create_room(
        room_version="11",
        preset="public_chat",
        power_level_content_override=override,
        initial_state=[acl],
    )
    await bob.post(f"/join/{room_id}")
    new_id = await upgrade(bob, room_id, "11")
    assert (await state(bob, new_id, "m.room.power_levels"))["users"] == users
    assert await state(bob, new_id, "m.room.server_acl") == {"allow": ["*"]}


async def test_refused(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    body = {"new_version": "12"}
    await bob.post(f"/rooms/{room_id}/upgrade", body, status=403)
    await bob.post(f"/join/{room_id}")
    assert (await bob.post(f"/rooms/{room_id}/upgrade", body, status=403))["errcode"] == "M_FORBIDDEN"
    unknown = await alice.post(f"/rooms/{room_id}/upgrade", {"new_version": "x"}, status=400)
    assert unknown["errcode"] == "M_UNSUPPORTED_ROOM_VERSION"
    await alice.post(f"/rooms/{room_id}/upgrade", {}, status=400)
    await alice.post(f"/rooms/{room_id}/upgrade", {**body, "additional_creators": ["x"]}, status=400)
    await alice.post("/rooms/!nowhere:x/upgrade", body, status=404)


async def test_what_is_a_users_own_follows_them(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    for user in (alice, bob):
        await user.put(f"/pushrules/global/room/{room_id}", {"actions": []})
        conditions = [{"kind": "event_match", "key": "room_id", "pattern": room_id}]
        mute = {"actions": [], "conditions": conditions}
        await user.put(f"/pushrules/global/override/{room_id}", mute)
        await user.put(f"/user/{user.user_id}/rooms/{room_id}/tags/m.favourite", {"order": 0.5})
    new_id = await upgrade(alice, room_id, "12")
    await bob.post(f"/join/{new_id}")
    for user in (alice, bob):
        assert (await user.get(f"/pushrules/global/room/{new_id}"))["actions"] == []
        rule = await user.get(f"/pushrules/global/override/{new_id}")
        assert rule["conditions"][0]["pattern"] == new_id
        tags = await user.get(f"/user/{user.user_id}/rooms/{new_id}/tags")
        assert tags == {"tags": {"m.favourite": {"order": 0.5}}}


async def test_what_follows_who_joins_by_setting_state(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await bob.put(f"/user/{bob.user_id}/rooms/{room_id}/tags/m.favourite", {})
    new_id = await upgrade(alice, room_id, "12")
    path = f"/rooms/{new_id}/state/m.room.member/{bob.user_id}"
    tags = f"/user/{bob.user_id}/rooms/{new_id}/tags"
    await bob.put(path, {"membership": "join"})
    assert await bob.get(tags) == {"tags": {"m.favourite": {}}}
    await bob.delete(f"{tags}/m.favourite")
    await bob.put(path, {"membership": "join", "displayname": "Bob"})
    assert await bob.get(tags) == {"tags": {}}


async def test_joining_where_not_everything_can_follow(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    new_id = await upgrade(alice, room_id, "12")
    tags = {f"u.{number}": {} for number in range(MAX_TAGS)}
    await bob.put(f"/user/{bob.user_id}/rooms/{room_id}/account_data/m.tag", {"tags": tags})
    await bob.put(f"/user/{bob.user_id}/rooms/{new_id}/tags/u.mine", {})
    await bob.post(f"/join/{new_id}")


async def test_more_bans_than_are_written_at_once(server: Homeserver, alice: Client, bob: Client) -> None:
    levels = {"users": {alice.user_id: 100, bob.user_id: 50}, "events": {"m.room.tombstone": 50}}
    room_id = await alice.create_room(
        preset="public_chat", room_version="10", power_level_content_override=levels
    )
    await bob.post(f"/join/{room_id}")
    banned = [f"@banned{number}:test.example" for number in range(AT_ONCE + 10)]
    content = {"membership": "ban"}
    drafts = [
        Draft(type="m.room.member", sender=alice.user_id, state_key=user_id, content=content)
        for user_id in banned
    ]
    await server.services.history.room_writer.send_all(room_id, drafts)
    new_id = await upgrade(bob, room_id, "11")
    members = await bob.get(f"/rooms/{new_id}/members?membership=ban")
    assert {event["state_key"] for event in members["chunk"]} == set(banned)
    users = (await bob.get(f"/rooms/{new_id}/state/m.room.power_levels"))["users"]
    assert users == levels["users"]


async def test_a_direct_chat_stays_one(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    path = f"/user/{bob.user_id}/account_data/m.direct"
    others = {"@eve:test.example": ["!other:test.example"], "odd": "no list"}
    await bob.put(path, {alice.user_id: ["!first:test.example", room_id, "!last:test.example"], **others})
    await bob.put(f"/user/{bob.user_id}/rooms/{room_id}/account_data/m.tag", {"tags": {"u.a": {}}})
    new_id = await upgrade(alice, room_id, "12")
    since = (await bob.get("/sync"))["next_batch"]
    await bob.post(f"/join/{new_id}")
    rooms = ["!first:test.example", room_id, new_id, "!last:test.example"]
    assert await bob.get(path) == {alice.user_id: rooms, **others}
    told = (await bob.get(f"/sync?since={since}"))["account_data"]["events"]
    assert [item["content"] for item in told if item["type"] == "m.direct"] == [
        {alice.user_id: rooms, **others}
    ]
    await bob.post(f"/rooms/{new_id}/leave")
    await bob.post(f"/join/{new_id}")
    assert (await bob.get(path))[alice.user_id] == rooms


async def test_a_direct_chat_stays_one_where_tags_cannot_follow(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    new_id = await upgrade(alice, room_id, "12")
    tags = {f"u.{number}": {} for number in range(MAX_TAGS)}
    await bob.put(f"/user/{bob.user_id}/rooms/{room_id}/account_data/m.tag", {"tags": tags})
    await bob.put(f"/user/{bob.user_id}/rooms/{new_id}/tags/u.mine", {})
    path = f"/user/{bob.user_id}/account_data/m.direct"
    await bob.put(path, {alice.user_id: [room_id]})
    await bob.post(f"/join/{new_id}")
    assert await bob.get(path) == {alice.user_id: [room_id, new_id]}


async def where(client: Client, room_id: str) -> tuple[str, str, list[str]]:
    """Where a room's tombstone, the alias #moving and the room directory lead."""
    tombstone = await state(client, room_id, "m.room.tombstone")
    alias = await client.get("/directory/room/%23moving:test.example")
    listed = [room["room_id"] for room in (await client.get("/publicRooms"))["chunk"]]
    return tombstone["replacement_room"], alias["room_id"], listed


async def test_several_upgrades_at_once_make_one_room(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(
        room_version="11", preset="public_chat", visibility="public", room_alias_name="moving"
    )
    await bob.post(f"/join/{room_id}")
    levels = await state(alice, room_id, "m.room.power_levels")
    levels["users"][bob.user_id] = 100
    await alice.put(f"/rooms/{room_id}/state/m.room.power_levels", levels)
    made = await asyncio.gather(*(upgrade(client, room_id, "12") for client in (alice, bob, alice, bob)))
    assert len(set(made)) == 1
    assert await where(alice, room_id) == (made[0], made[0], [made[0]])
    joined = (await bob.get("/joined_rooms"))["joined_rooms"] + (await alice.get("/joined_rooms"))[
        "joined_rooms"
    ]
    assert set(joined) == {room_id, made[0]}
    assert await upgrade(alice, room_id, "12") == made[0]
    again = await alice.post(f"/rooms/{room_id}/upgrade", {"new_version": "11"}, status=400)
    assert again["errcode"] == "M_BAD_STATE"
    assert await where(alice, room_id) == (made[0], made[0], [made[0]])


async def test_an_upgrade_that_another_process_overtakes(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(
        room_version="11", preset="public_chat", visibility="public", room_alias_name="moving"
    )
    upgrades = server.services.rooms.room_upgrades
    before = await server.services.history.room_heads.get(room_id)
    first = await upgrade(alice, room_id, "12")
    assert await upgrades._replace(before, room_version("12"), alice.user_id, []) == first
    assert await where(alice, room_id) == (first, first, [first])
    assert set((await alice.get("/joined_rooms"))["joined_rooms"]) == {room_id, first}


async def test_an_upgrade_that_was_cut_short_is_finished(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(
        room_version="11", preset="public_chat", visibility="public", room_alias_name="moving"
    )
    head = await server.services.history.room_heads.get(room_id)
    new_id = await server.services.rooms.room_upgrades._replace(head, room_version("12"), alice.user_id, [])
    assert (await where(alice, room_id))[1:] == (room_id, [room_id])
    assert await upgrade(alice, room_id, "12") == new_id
    assert await where(alice, room_id) == (new_id, new_id, [new_id])
    assert (await state(alice, room_id, "m.room.power_levels"))["events_default"] == 50


@pytest.mark.parametrize("named", ["!gone:test.example", "!nul\0:test.example", 7, "another"])
async def test_a_tombstone_that_names_no_successor_is_no_upgrade(alice: Client, named: Any) -> None:
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    replacement = await alice.create_room() if named == "another" else named
    tombstone = {"body": "", "replacement_room": replacement}
    await alice.put(f"/rooms/{room_id}/state/m.room.tombstone", tombstone)
    new_id = await upgrade(alice, room_id, "12")
    assert (await state(alice, room_id, "m.room.tombstone"))["replacement_room"] == new_id
