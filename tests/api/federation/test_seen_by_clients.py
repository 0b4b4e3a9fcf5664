"""What clients see of users of other servers, beside their events: as of those of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from palpo.core.state_keys import JOIN_RULES, NAME
from tests.api.federation.test_knocks import knocking
from tests.support.handshakes import become
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import pair
from tests.support.remote_rooms import RemoteRoom
from tests.support.remote_server import RemoteServer
from tests.support.remote_users import BOB, CAROL, SERVER
from tests.support.resident import Resident
from tests.support.transactions import MEMBER, Sender, sender_in

SLIDING = "/client/unstable/org.matrix.simplified_msc3575/sync"
LISTS = {"a": {"ranges": [[0, 9]], "required_state": [["*", "*"]], "timeline_limit": 5}}


@pytest.fixture
async def sender(tmp_path: Path) -> AsyncIterator[Sender]:
    async with sender_in(tmp_path) as sender:
        yield sender


async def sliding(client: Client, **params: str) -> Any:
    """A sliding sync, or the next one after ``pos``."""
    return await client.request("POST", SLIDING, {"lists": LISTS}, params=params)


async def found(client: Client, term: str) -> list[dict[str, Any]]:
    """Users, by the user directory."""
    answer = await client.post("/user_directory/search", {"search_term": term})
    results: list[dict[str, Any]] = answer["results"]
    return results


async def searched(client: Client, term: str) -> list[str]:
    """Messages, by full-text search, the newest first."""
    query = {"search_categories": {"room_events": {"search_term": term, "order_by": "recent"}}}
    answer = await client.post("/search", query)
    return [
        item["result"]["event_id"] for item in answer["search_categories"]["room_events"].get("results", [])
    ]


async def test_they_are_in_the_user_directory(sender: Sender) -> None:
    """Of who shares a room with them, or where a room of theirs is everybody's."""
    room, eve = sender.room, await sender.ours.register("eve")
    for client in (sender.alice, eve):
        assert [item["user_id"] for item in await found(client, "bob")] == [BOB]
    await sender.alice.put(f"/rooms/{room.room_id}/state/m.room.join_rules", {"join_rule": "invite"})
    assert [item["user_id"] for item in await found(sender.alice, BOB)] == [BOB]
    assert await found(eve, "bob") == []
    await sender.send(await room.event(BOB, (MEMBER, BOB), {"membership": "leave"}))
    assert await found(sender.alice, "bob") == []


async def test_by_what_public_rooms_call_them(sender: Sender) -> None:
    """That is for everybody; what other rooms call them is those rooms'."""
    room, eve = sender.room, await sender.ours.register("eve")
    for name in ("Bob Builder", "Roberta"):
        content = {"membership": "join", "displayname": name, "avatar_url": f"mxc://{SERVER}/bob"}
        await sender.send(await room.event(BOB, (MEMBER, BOB), content))
        expected = {"user_id": BOB, "display_name": name, "avatar_url": f"mxc://{SERVER}/bob"}
        for client in (sender.alice, eve):
            assert await found(client, name.split()[-1]) == [expected]
    assert await found(sender.alice, "builder") == []
    await sender.alice.put(f"/rooms/{room.room_id}/state/m.room.join_rules", {"join_rule": "invite"})
    await sender.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join", "displayname": "Secret"}))
    assert await found(sender.alice, "secret") == []
    assert len(await found(sender.alice, "roberta")) == 1
    assert await found(eve, "roberta") == []


async def test_who_was_in_a_public_room_before_us(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        await alice.put(f"/profile/{alice.user_id}/displayname", {"displayname": "Cooper"})
        room_id = await alice.create_room(preset="public_chat", room_version="11")
        await bob.post(f"/join/{room_id}", params={"server_name": "hs1.test"})
        await bob.get(f"/rooms/{room_id}/members")  # Which waits until the room is whole.
        assert [item["display_name"] for item in await found(bob, "cooper")] == ["Cooper"]


async def test_their_messages_are_searched(sender: Sender) -> None:
    first, second = await sender.message("green tea"), await sender.message("black tea")
    await sender.send(first, second)
    assert await searched(sender.alice, "tea") == [second.event_id, first.event_id]
    assert await searched(await sender.ours.register("eve"), "tea") == []
    redaction = await sender.room.event(BOB, "m.room.redaction", {"redacts": first.event_id})
    await sender.send(redaction)
    assert await searched(sender.alice, "tea") == [second.event_id]
    await sender.alice.post(f"/rooms/{sender.room.room_id}/ban", {"user_id": BOB})
    soft_failed = await sender.message("late tea", after=(redaction.event_id,))
    await sender.send(soft_failed)
    assert await searched(sender.alice, "tea") == [second.event_id]


async def test_their_joins_are_in_both_syncs(sender: Sender) -> None:
    room_id = sender.room.room_id
    since, pos = (await sender.alice.get("/sync"))["next_batch"], (await sliding(sender.alice))["pos"]
    join = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join"})
    await sender.send(join)
    named = await sender.room.event(CAROL, (MEMBER, CAROL), {"membership": "join", "displayname": "Carol"})
    await sender.send(named)
    told = (await sender.alice.get("/sync", params={"since": since}))["rooms"]["join"][room_id]
    names = [event["event_id"] for event in told["timeline"]["events"]]
    assert names == [join.event_id, named.event_id]
    assert told["summary"]["m.joined_member_count"] == 3
    room = (await sliding(sender.alice, pos=pos))["rooms"][room_id]
    assert [event["event_id"] for event in room["timeline"]] == names
    assert room["joined_count"] == 3


async def test_their_knocks_are_in_both_syncs(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    room_id = await knocking(alice)
    since, pos = (await alice.get("/sync"))["next_batch"], (await sliding(alice))["pos"]
    await become(remote, server, "knock", room_id, BOB)
    told = (await alice.get("/sync", params={"since": since}))["rooms"]["join"][room_id]
    (event,) = told["timeline"]["events"]
    assert (event["state_key"], event["content"]["membership"]) == (BOB, "knock")
    room = (await sliding(alice, pos=pos))["rooms"][room_id]
    assert [item["event_id"] for item in room["timeline"]] == [event["event_id"]]


async def test_our_knocks_elsewhere_are_in_both_syncs(alice: Client, remote: RemoteServer) -> None:
    room = RemoteRoom("7")
    room.add(BOB, JOIN_RULES, {"join_rule": "knock"})
    room.add(BOB, NAME, {"name": "Elsewhere"})
    Resident(remote, room)
    since, pos = (await alice.get("/sync"))["next_batch"], (await sliding(alice))["pos"]
    await alice.post(f"/knock/{room.room_id}", {}, params={"via": SERVER})
    told = (await alice.get("/sync", params={"since": since}))["rooms"]["knock"][room.room_id]
    names = {event["type"] for event in told["knock_state"]["events"]}
    assert {"m.room.name", "m.room.member"} <= names
    for answer in (await sliding(alice, pos=pos), await sliding(alice)):
        assert answer["rooms"][room.room_id]["membership"] == "knock"
    await alice.post(f"/rooms/{room.room_id}/leave")
    assert room.room_id not in (await sliding(alice))["rooms"]
