"""GET /sync: lazy loading of members (spec: "Lazy-loading room members", "GET /sync")."""

from __future__ import annotations

import json
from typing import Any

from tests.support.homeserver import Client, Homeserver

Json = dict[str, Any]
STATE = {"lazy_load_members": True}


async def sync(client: Client, since: str | None = None, *, limit: int = 10, **params: Any) -> Json:
    """A sync that loads members lazily."""
    filter_ = {"room": {"state": STATE, "timeline": {"limit": limit}}}
    query = {"filter": json.dumps(filter_), **params, **({"since": since} if since else {})}
    answer: Json = await client.get("/sync", params=query)
    return answer


def members(section: Json) -> dict[str, str]:
    """User → membership, in a list of state."""
    return {
        event["state_key"]: event["content"]["membership"]
        for event in section["events"]
        if event["type"] == "m.room.member"
    }


async def full_room(server: Homeserver, alice: Client, bob: Client) -> tuple[str, Client]:
    """A named room of the two and somebody else."""
    carol = await server.register("carol")
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    for client in (bob, carol):
        await client.post(f"/join/{room_id}")
    return room_id, carol


async def test_members_who_changed_in_the_gap_are_told(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id, carol = await full_room(server, alice, bob)
    since = (await sync(alice))["next_batch"]
    await bob.post(f"/rooms/{room_id}/leave")
    dave = await server.register("dave")
    await dave.post(f"/join/{room_id}")
    for number in range(4):
        await carol.send(room_id, str(number))
    room = (await sync(alice, since, limit=2))["rooms"]["join"][room_id]
    assert room["timeline"]["limited"]
    assert members(room["state"]) == {bob.user_id: "leave", dave.user_id: "join"}


async def test_the_state_after_has_every_member_who_changed(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id, _ = await full_room(server, alice, bob)
    since = (await sync(alice))["next_batch"]
    await alice.post(f"/rooms/{room_id}/kick", {"user_id": bob.user_id})
    room = (await sync(alice, since, use_state_after="true"))["rooms"]["join"][room_id]
    assert members(room["state_after"])[bob.user_id] == "leave"


async def test_heroes_come_with_their_member_events(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="private_chat", invite=[bob.user_id])
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "one")
    await alice.send(room_id, "two")
    answer = await sync(alice, limit=1)
    room = answer["rooms"]["join"][room_id]
    assert room["summary"]["m.heroes"] == [bob.user_id]
    assert members(room["state"]) == {alice.user_id: "join", bob.user_id: "join"}
    await bob.send(room_id, "three")
    room = (await sync(alice, answer["next_batch"], limit=1))["rooms"]["join"][room_id]
    assert members(room["state"]) == {}


async def test_only_the_state_filter_loads_members_lazily(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id, _ = await full_room(server, alice, bob)
    for number in range(3):
        await alice.send(room_id, str(number))
    filter_ = {"room": {"timeline": {"limit": 1, **STATE}}}
    answer = await alice.get("/sync", params={"filter": json.dumps(filter_)})
    assert len(members(answer["rooms"]["join"][room_id]["state"])) == 3


async def test_redundant_members_are_sent_where_they_are_asked_for(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    await bob.post(f"/join/{room_id}")
    filter_ = json.dumps({"room": {"state": {**STATE, "include_redundant_members": True}}})
    since = (await alice.get("/sync", params={"filter": filter_}))["next_batch"]
    for number in range(2):
        await bob.send(room_id, str(number))
        answer = await alice.get("/sync", params={"filter": filter_, "since": since})
        assert members(answer["rooms"]["join"][room_id]["state"]) == {bob.user_id: "join"}
        since = answer["next_batch"]


async def test_a_name_that_is_taken_away_brings_the_heroes(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat", name="Tea")
    await bob.post(f"/join/{room_id}")
    answer = await sync(alice)
    assert "m.heroes" not in answer["rooms"]["join"][room_id]["summary"]
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {})
    room = (await sync(alice, answer["next_batch"]))["rooms"]["join"][room_id]
    assert room["summary"]["m.heroes"] == [bob.user_id]


async def test_heroes_are_those_who_came_first(server: Homeserver, alice: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    users = []
    for name in ("zoe", "yan", "xia", "wim", "vic", "ulf"):
        users.append(await server.register(name))
        await users[-1].post(f"/join/{room_id}")
    summary = (await sync(alice))["rooms"]["join"][room_id]["summary"]
    assert summary["m.heroes"] == [user.user_id for user in users[:5]]
    assert summary["m.joined_member_count"] == 7
