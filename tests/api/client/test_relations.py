"""What relates to an event, and threads."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.support.homeserver import Client, Homeserver
from tests.support.rooms import make_room, member


async def relate(
    client: Client, room_id: str, target: str, rel_type: str, type_: str = "m.room.message", **more: Any
) -> str:
    content = {"body": rel_type, "m.relates_to": {"rel_type": rel_type, "event_id": target, **more}}
    path = f"/rooms/{room_id}/send/{type_}/{client.transaction_id()}"
    event_id: str = (await client.put(path, content))["event_id"]
    return event_id


async def children(client: Client, room_id: str, path: str, **query: Any) -> dict[str, Any]:
    url = f"/client/v1/rooms/{room_id}/relations/{path}"
    answer: dict[str, Any] = await client.request("GET", url, params=query)
    answer["ids"] = [event["event_id"] for event in answer["chunk"]]
    return answer


async def test_the_three_forms(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    thread = await relate(alice, room_id, root, "m.thread")
    dummy = await relate(alice, room_id, root, "m.thread", "m.dummy")
    edit = await relate(alice, room_id, root, "m.replace")
    assert (await children(alice, room_id, root))["ids"] == [edit, dummy, thread]
    assert (await children(alice, room_id, f"{root}/m.thread"))["ids"] == [dummy, thread]
    assert (await children(alice, room_id, f"{root}/m.thread/m.dummy"))["ids"] == [dummy]
    url = f"/client/v1/rooms/{room_id}/relations/"
    await bob.request("GET", url + root, status=404)
    await alice.request("GET", url + "$nothing", status=404)
    await alice.request("GET", url + root, params={"limit": 0}, status=400)


async def test_paging(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    ids = [await relate(alice, room_id, root, "m.thread") for _ in range(7)]
    first = await children(alice, room_id, root, limit=3)
    assert first["ids"] == ids[:3:-1]
    assert "prev_batch" not in first
    second = await children(alice, room_id, root, limit=3, **{"from": first["next_batch"]})
    assert second["ids"] == ids[3:0:-1]
    last = await children(alice, room_id, root, limit=3, **{"from": second["next_batch"]})
    assert last["ids"] == ids[:1]
    assert "next_batch" not in last
    on = await children(alice, room_id, root, limit=3, dir="f")
    assert on["ids"] == ids[:3]
    on = await children(alice, room_id, root, limit=3, dir="f", **{"from": on["next_batch"]})
    assert on["ids"] == ids[3:6]


async def test_recursion(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    child = await relate(alice, room_id, root, "m.thread")
    grandchild = await relate(alice, room_id, child, "m.reference")
    third = await relate(alice, room_id, grandchild, "m.annotation", "m.reaction", key="+")
    plain = await children(alice, room_id, root)
    assert plain["ids"] == [child]
    assert "recursion_depth" not in plain
    deep = await children(alice, room_id, root, recurse="true")
    assert deep["ids"] == [third, grandchild, child]
    assert deep["recursion_depth"] == 3
    typed = await children(alice, room_id, f"{root}/m.reference", recurse="true")
    assert typed["ids"] == []


async def test_refused_relations(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    thread = await relate(alice, room_id, root, "m.thread")
    content = {"m.relates_to": {"rel_type": "m.thread", "event_id": thread}}
    refused = await alice.put(f"/rooms/{room_id}/send/m.room.message/t", content, status=400)
    assert refused["errcode"] == "M_UNKNOWN"
    reaction = await relate(alice, room_id, root, "m.annotation", "m.reaction", key="+")
    await relate(alice, room_id, root, "m.annotation", "m.reaction", key="-")
    content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "+"}}
    again = await alice.put(f"/rooms/{room_id}/send/m.reaction/a", content, status=400)
    assert again["errcode"] == "M_DUPLICATE_ANNOTATION"
    await alice.put(f"/rooms/{room_id}/redact/{reaction}/r", {})
    await alice.put(f"/rooms/{room_id}/send/m.reaction/a", content)


async def test_threads(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    roots = [await alice.send(room_id, str(number)) for number in range(3)]
    for root in roots:
        await relate(alice, room_id, root, "m.thread")
    last = await relate(bob, room_id, roots[0], "m.thread")
    url = f"/client/v1/rooms/{room_id}/threads"
    page = await alice.request("GET", url, params={"limit": 2})
    assert [event["event_id"] for event in page["chunk"]] == [roots[0], roots[2]]
    summary = page["chunk"][0]["unsigned"]["m.relations"]["m.thread"]
    assert summary["count"] == 2
    assert summary["latest_event"]["event_id"] == last
    page = await alice.request("GET", url, params={"limit": 2, "from": page["next_batch"]})
    assert [event["event_id"] for event in page["chunk"]] == [roots[1]]
    assert "next_batch" not in page
    page = await bob.request("GET", url, params={"include": "participated"})
    assert [event["event_id"] for event in page["chunk"]] == [roots[0]]
    page = await alice.request("GET", url, params={"include": "participated"})
    assert len(page["chunk"]) == 3
    await alice.request("GET", url, params={"from": "x"}, status=400)
    outsider = await server.register("carol")
    await outsider.request("GET", url, status=403)


async def test_ignored_users_are_left_out(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    root = await alice.send(room_id, "root")
    mine = await relate(alice, room_id, root, "m.thread")
    his = await relate(bob, room_id, root, "m.thread")
    his_root = await bob.send(room_id, "his")
    await relate(alice, room_id, his_root, "m.thread")
    path = f"/user/{alice.user_id}/account_data/m.ignored_user_list"
    await alice.put(path, {"ignored_users": {bob.user_id: {}}})
    event = await alice.get(f"/rooms/{room_id}/event/{root}")
    thread = event["unsigned"]["m.relations"]["m.thread"]
    assert thread["count"] == 1
    assert thread["latest_event"]["event_id"] == mine
    assert (await children(alice, room_id, root))["ids"] == [mine]
    assert (await children(bob, room_id, root))["ids"] == [his, mine]
    page = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "b", "limit": 100})
    senders = {event["sender"] for event in page["chunk"] if "state_key" not in event}
    assert senders == {alice.user_id}
    page = await alice.request("GET", f"/client/v1/rooms/{room_id}/threads")
    assert page["chunk"][0]["event_id"] == his_root
    assert page["chunk"][0]["content"] == {}


async def test_events_of_other_rooms_are_no_children(server: Homeserver, alice: Client, bob: Client) -> None:
    room_id, elsewhere = await make_room(server, alice), await bob.create_room()
    root = await alice.send(room_id, "root")
    path = f"/rooms/{room_id}/event/{root}"
    for rel_type in ("m.reference", "m.thread", "m.replace"):
        await relate(bob, elsewhere, root, rel_type)
    assert "m.relations" not in (await alice.get(path))["unsigned"]
    filter_ = json.dumps({"related_by_rel_types": ["m.reference"]})
    page = await alice.get(f"/rooms/{room_id}/messages", params={"dir": "b", "filter": filter_})
    assert page["chunk"] == []
    await member(server, room_id, bob, "join")
    await relate(alice, room_id, root, "m.thread")
    thread = (await bob.get(path))["unsigned"]["m.relations"]["m.thread"]
    assert (thread["count"], thread["current_user_participated"]) == (1, False)
    await relate(bob, elsewhere, root, "m.annotation", "m.reaction", key="+1")
    await relate(bob, room_id, root, "m.annotation", "m.reaction", key="+1")


async def test_two_reactions_at_once(server: Homeserver, alice: Client) -> None:
    room_id = await make_room(server, alice)
    root = await alice.send(room_id, "root")
    content = {"m.relates_to": {"rel_type": "m.annotation", "event_id": root, "key": "+1"}}

    async def react(transaction_id: str) -> Any:
        return await alice.put(f"/rooms/{room_id}/send/m.reaction/{transaction_id}", content, status=None)

    first, second = await asyncio.gather(react("x"), react("y"))
    assert {first.get("errcode"), second.get("errcode")} == {None, "M_DUPLICATE_ANNOTATION"}
    again = await asyncio.gather(react("x"), react("x"), react("y"))
    assert again == [first, first, second]


async def test_who_has_left_is_not_told_of_later_references(
    server: Homeserver, alice: Client, bob: Client
) -> None:
    room_id = await make_room(server, alice)
    await member(server, room_id, bob, "join")
    root, other = await alice.send(room_id, "root"), await alice.send(room_id, "other")
    before = await relate(alice, room_id, root, "m.reference")
    await bob.post(f"/rooms/{room_id}/leave")
    await relate(alice, room_id, root, "m.reference")
    await relate(alice, room_id, other, "m.reference")
    unsigned = (await bob.get(f"/rooms/{room_id}/event/{root}"))["unsigned"]
    assert unsigned["m.relations"] == {"m.reference": {"chunk": [{"event_id": before}]}}
    assert "m.relations" not in (await bob.get(f"/rooms/{room_id}/event/{other}"))["unsigned"]
