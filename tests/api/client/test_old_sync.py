"""What came before /sync, and peeking."""

from __future__ import annotations

import asyncio

from tests.support.homeserver import Client, Homeserver
from tests.support.rooms import make_room, member


async def test_a_room_at_a_glance(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    sent = [await alice.send(room_id, str(number)) for number in range(3)]
    await alice.put(f"/user/{alice.user_id}/rooms/{room_id}/account_data/org.example", {"a": 1})
    seen = await alice.get(f"/rooms/{room_id}/initialSync", params={"limit": 2})
    assert seen["membership"] == "join"
    assert [event["event_id"] for event in seen["messages"]["chunk"]] == sent[1:]
    assert seen["visibility"] == "private"
    assert seen["account_data"] == [{"type": "org.example", "content": {"a": 1}}]
    assert {event["type"] for event in seen["state"]} >= {"m.room.create", "m.room.member"}
    start = seen["messages"]["start"]
    earlier = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "b", "limit": 1, "from": start})
    assert earlier["chunk"][0]["event_id"] == sent[0]
    await bob.get(f"/rooms/{room_id}/initialSync", status=403)


async def test_everything_at_once(server: Homeserver, alice: Client, bob: Client) -> None:
    joined, invited, left = [await make_room(server, alice) for _ in range(3)]
    for room_id in (joined, left):
        await member(server, room_id, bob, "join")
    await member(server, invited, bob, "invite", by=alice)
    await member(server, left, bob, "leave")
    seen = await bob.get("/initialSync")
    rooms = {room["room_id"]: room for room in seen["rooms"]}
    assert rooms.keys() == {joined, invited}
    assert rooms[invited]["invite"]["content"]["membership"] == "invite"
    seen = await bob.get("/initialSync", params={"archived": "true"})
    assert left in {room["room_id"] for room in seen["rooms"]}


async def test_the_stream_of_events(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    hidden = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    start = (await bob.get("/initialSync"))["end"]
    waiting = asyncio.create_task(bob.get("/events", params={"from": start, "timeout": 5000}))
    await asyncio.sleep(0.05)
    await alice.send(hidden, "no")
    sent = await alice.send(room_id, "yes")
    seen = await waiting
    assert [event["event_id"] for event in seen["chunk"]] == [sent]
    assert (await bob.get("/events", params={"from": seen["end"]}))["chunk"] == []
    assert (await bob.get(f"/events/{sent}"))["event_id"] == sent
    await (await server.register("carol")).get(f"/events/{sent}", status=404)


async def test_peeking_at_the_stream(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice, visibility="world_readable")
    start = (await bob.get("/initialSync"))["end"]
    sent = await alice.send(room_id, "open")
    seen = await bob.get("/events", params={"from": start, "room_id": room_id})
    assert [event["event_id"] for event in seen["chunk"]] == [sent]
    messages = (await bob.get(f"/rooms/{room_id}/initialSync"))["messages"]
    later = await alice.send(room_id, "later")
    for token, expected in ((messages["end"], [later]), (messages["start"], None)):
        seen = await bob.get("/events", params={"from": token, "room_id": room_id})
        assert expected is None or [event["event_id"] for event in seen["chunk"]] == expected
    closed = await make_room(server, alice)
    await bob.get("/events", params={"from": start, "room_id": closed}, status=403)
