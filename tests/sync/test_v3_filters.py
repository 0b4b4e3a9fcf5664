"""GET /sync: what filters let through (spec: "Filtering")."""

from __future__ import annotations

import json
from typing import Any

from tests.support.homeserver import Client

Json = dict[str, Any]


async def sync(client: Client, filter_: Json, since: str | None = None) -> Json:
    """A sync with an inline filter."""
    query = {"filter": json.dumps(filter_), **({"since": since} if since else {})}
    answer: Json = await client.get("/sync", params=query)
    return answer


def bodies(room: Json) -> list[str]:
    """The texts in a room's timeline."""
    return [event["content"]["body"] for event in room["timeline"]["events"] if "body" in event["content"]]


async def test_what_is_wanted_is_found_behind_much_that_is_not(alice: Client) -> None:
    room_id = await alice.create_room()
    filter_ = {"room": {"timeline": {"types": ["m.room.message"], "limit": 1}}}
    since = (await sync(alice, filter_))["next_batch"]
    await alice.send(room_id, "needle")
    for number in range(60):
        await alice.send(room_id, str(number), "hay")
    room = (await sync(alice, filter_, since))["rooms"]["join"][room_id]
    assert bodies(room) == ["needle"]
    room = (await sync(alice, filter_))["rooms"]["join"][room_id]
    assert bodies(room) == ["needle"]


async def test_rooms_of_the_parts(alice: Client, bob: Client) -> None:
    chosen, other = [await alice.create_room(preset="public_chat") for _ in range(2)]
    for room_id in (chosen, other):
        await bob.post(f"/join/{room_id}")
        await bob.put(f"/rooms/{room_id}/typing/{bob.user_id}", {"typing": True, "timeout": 30_000})
        await alice.put(f"/user/{alice.user_id}/rooms/{room_id}/account_data/a.b", {"c": 1})
    for part in ("ephemeral", "account_data", "state"):
        rooms = (await sync(alice, {"room": {part: {"rooms": [chosen]}, "timeline": {"limit": 2}}}))["rooms"]
        assert rooms["join"][chosen][part]["events"], part
        assert not rooms["join"][other][part]["events"], part
        rooms = (await sync(alice, {"room": {part: {"not_rooms": [chosen]}, "timeline": {"limit": 2}}}))[
            "rooms"
        ]
        assert not rooms["join"][chosen][part]["events"], part
        assert rooms["join"][other][part]["events"], part


async def test_rooms_of_the_timeline(alice: Client) -> None:
    chosen, other = [await alice.create_room() for _ in range(2)]
    rooms = (await sync(alice, {"room": {"timeline": {"rooms": [chosen]}}}))["rooms"]["join"]
    assert rooms[chosen]["timeline"]["events"]
    assert not rooms[other]["timeline"]["events"]
    rooms = (await sync(alice, {"room": {"rooms": [chosen, other], "not_rooms": [other]}}))["rooms"]["join"]
    assert set(rooms) == {chosen}


async def test_contains_url(alice: Client) -> None:
    room_id = await alice.create_room()
    for content in ({"body": "with", "url": "mxc://a/b"}, {"body": "null", "url": None}, {"body": "without"}):
        await alice.put(f"/rooms/{room_id}/send/m.room.message/{alice.transaction_id()}", content)
    for wanted, texts in ((True, ["with", "null"]), (False, ["without"])):
        rooms = (await sync(alice, {"room": {"timeline": {"contains_url": wanted}}}))["rooms"]["join"]
        assert bodies(rooms[room_id]) == texts


async def test_senders_and_types(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await alice.send(room_id, "a")
    await bob.send(room_id, "b")
    await bob.send(room_id, "c", "org.example.tea")
    for part, texts in (
        ({"senders": [bob.user_id]}, ["b", "c"]),
        ({"senders": [bob.user_id], "not_senders": [bob.user_id]}, []),
        ({"not_senders": [alice.user_id]}, ["b", "c"]),
        ({"types": ["org.*.tea"]}, ["c"]),
        ({"types": ["*"], "not_types": ["m.room.*"]}, ["c"]),
        ({"types": []}, []),
        ({"rooms": []}, []),
    ):
        rooms = (await sync(alice, {"room": {"timeline": part}}))["rooms"]["join"]
        assert bodies(rooms[room_id]) == texts, part


async def test_the_federation_format(alice: Client) -> None:
    room_id = await alice.create_room()
    await alice.send(room_id, "hello")
    filter_ = {"event_format": "federation"}
    room = (await sync(alice, filter_))["rooms"]["join"][room_id]
    event = room["timeline"]["events"][-1]
    assert event["content"]["body"] == "hello"
    wanted = {"event_id", "auth_events", "prev_events", "depth", "hashes", "signatures", "origin_server_ts"}
    assert wanted <= set(event)


async def test_account_data_of_rooms_left(alice: Client, bob: Client) -> None:
    room_id = await alice.create_room(preset="public_chat")
    await bob.post(f"/join/{room_id}")
    await bob.put(f"/user/{bob.user_id}/rooms/{room_id}/account_data/a.b", {"c": 1})
    await bob.post(f"/rooms/{room_id}/leave")
    left = (await sync(bob, {"room": {"include_leave": True}}))["rooms"]["leave"][room_id]
    assert left["account_data"]["events"] == [{"type": "a.b", "content": {"c": 1}}]
    assert not (await sync(bob, {"room": {"include_leave": False}})).get("rooms", {}).get("leave")
