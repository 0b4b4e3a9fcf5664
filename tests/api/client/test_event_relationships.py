"""Walking through what relates to an event (MSC2836)."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from tests.support.homeserver import Client, Homeserver
from tests.support.rooms import make_room, member


async def reply(client: Client, room_id: str, target: str, rel_type: str = "m.reference") -> str:
    content = {"body": "x", "m.relationship": {"rel_type": rel_type, "event_id": target}}
    path = f"/rooms/{room_id}/send/m.room.message/{client.transaction_id()}"
    event_id: str = (await client.put(path, content))["event_id"]
    return event_id


async def walk(client: Client, event_id: str, **options: Any) -> dict[str, Any]:
    body = {"event_id": event_id, **options}
    answer: dict[str, Any] = await client.request("POST", "/client/unstable/event_relationships", body)
    answer["ids"] = [event["event_id"] for event in answer["events"]]
    return answer


async def test_a_small_thread(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    a = await alice.send(room_id, "a")
    b = await reply(alice, room_id, a)
    c = await reply(alice, room_id, b)
    d = await reply(alice, room_id, b, "custom")
    answer = await walk(alice, d, room_id=room_id, direction="down", include_parent=True)
    assert (answer["ids"], answer["limited"]) == ([d, b], False)
    unsigned = answer["events"][1]["unsigned"]
    assert unsigned["children"] == {"m.reference": 1, "custom": 1}
    digest = hashlib.sha256("".join(sorted([c, d])).encode()).digest()
    assert unsigned["children_hash"] == base64.b64encode(digest).decode().rstrip("=")
    assert answer["events"][0]["unsigned"]["children"] == {}
    answer = await walk(alice, b, direction="down", include_parent=True, recent_first=False)
    assert answer["ids"] == [b, a, c, d]
    assert (await walk(alice, c, direction="up"))["ids"] == [c, b, a]
    assert (await walk(alice, c, direction="up", max_depth=1))["ids"] == [c, b]
    assert (await walk(alice, a, include_children=True, max_depth=0))["ids"] == [a, b]


async def test_orders_and_bounds(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    children = []
    for _ in range(3):
        server.clock.advance(1)
        children.append(await reply(alice, room_id, root))
    grandchild = await reply(alice, room_id, children[0])
    assert (await walk(alice, root))["ids"] == [root, *reversed(children), grandchild]
    assert (await walk(alice, root, recent_first=False, depth_first=True))["ids"] == [
        root,
        children[0],
        grandchild,
        *children[1:],
    ]
    assert (await walk(alice, root, max_breadth=1))["ids"] == [root, children[2]]
    cut = await walk(alice, root, limit=2)
    assert (cut["ids"], cut["limited"]) == ([root, children[2]], True)
    whole = await walk(alice, root, limit=5, max_depth=-1, max_breadth=-1)
    assert (len(whole["ids"]), whole["limited"]) == (5, False)


async def test_who_may_not_walk(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice, visibility="joined")
    a = await alice.send(room_id, "a")
    await member(server, room_id, bob, "join")
    b = await reply(alice, room_id, a)
    answer = await walk(bob, b, direction="up", include_parent=True)
    assert answer["ids"] == [b]
    path = "/client/unstable/event_relationships"
    await bob.request("POST", path, {"event_id": a}, status=404)
    await bob.request("POST", path, {"event_id": "$nothing"}, status=404)
    await alice.request("POST", path, {"event_id": a, "room_id": "!other:test.example"}, status=404)
    error = await alice.request("POST", path, {"event_id": a, "batch": "x"}, status=400)
    assert error["errcode"] == "M_INVALID_PARAM"
    await alice.request("POST", path, {"event_id": a, "direction": "left"}, status=400)


async def test_relations_of_other_rooms_and_redacted_ones_are_not_followed(
    server: Homeserver, alice: Client
) -> None:
    room_id, other = await make_room(server, alice), await make_room(server, alice)
    a = await alice.send(room_id, "a")
    relates_to = {"rel_type": "m.reference", "event_id": a}
    elsewhere = (await alice.put(f"/rooms/{other}/send/m.x/1", {"m.relates_to": relates_to}))["event_id"]
    b = await reply(alice, room_id, a)
    assert (await walk(alice, a))["ids"] == [a, b]
    assert (await walk(alice, elsewhere, direction="up"))["ids"] == [elsewhere]
    for target, room in ((a, other), ("$nothing", room_id)):
        content = {"m.relationship": {**relates_to, "event_id": target}}
        refused = await alice.put(f"/rooms/{room}/send/m.x/2", content, status=400)
        assert refused["errcode"] == "M_INVALID_PARAM"
    await alice.put(f"/rooms/{room_id}/redact/{b}/{alice.transaction_id()}")
    assert (await walk(alice, a))["ids"] == [a]
