"""State that is redacted: nobody goes on saying what it said, and who knows it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from palpo.services.history.room_writer import RoomWriter
from tests.support.homeserver import Client, Homeserver, homeserver

SLIDING = "/client/unstable/org.matrix.simplified_msc3575/sync"
LAZY = json.dumps({"room": {"state": {"lazy_load_members": True}}})
RUDE = "Rude"
VOLATILE = {"age", "next_batch", "pos", "prev_batch", "start", "end", "bump_stamp", "num_live"}
EVERYTHING = [["m.room.name", ""], ["m.room.topic", ""], ["m.room.avatar", ""], ["m.room.member", "*"]]

KINDS: list[tuple[str, dict[str, Any]]] = [
    ("m.room.name", {"name": RUDE}),
    ("m.room.topic", {"topic": RUDE}),
    ("m.room.avatar", {"url": f"mxc://x/{RUDE}"}),
    ("m.room.canonical_alias", {"alias": f"#{RUDE}:test.example"}),
    ("m.room.join_rules", {"join_rule": "public", RUDE: True}),
    ("m.room.guest_access", {"guest_access": "can_join", RUDE: True}),
    ("m.room.history_visibility", {"history_visibility": "world_readable", RUDE: True}),
    ("m.room.power_levels", {}),
    ("m.room.create", {}),
    ("m.space.child", {"via": ["test.example"], "order": RUDE}),
    ("m.room.member", {}),
]


@dataclass
class Room:
    alice: Client
    bob: Client
    carol: Client
    room_id: str
    child: str

    def at(self, server: Homeserver) -> Room:
        """The same at a server that was started anew."""
        clients = (Client(server.http, who.user_id, who.token) for who in (self.alice, self.bob, self.carol))
        return Room(*clients, self.room_id, self.child)


async def make(server: Homeserver) -> Room:
    alice, bob, carol = [await server.register(name) for name in ("alice", "bob", "carol")]
    child = await alice.create_room(preset="public_chat")
    room_id = await alice.create_room(
        preset="public_chat",
        visibility="public",
        room_version="10",
        name="Before",
        creation_content={"type": "m.space"},
    )
    await bob.post(f"/join/{room_id}")
    await bob.post(f"/join/{child}")
    await alice.put(f"/rooms/{room_id}/state/m.space.child/{child}", {"via": ["test.example"]})
    return Room(alice, bob, carol, room_id, child)


async def slide(client: Client, conn: str, pos: str | None = None, **filters: Any) -> dict[str, Any]:
    rule = {"ranges": [[0, 20]], "timeline_limit": 5, "required_state": EVERYTHING, "filters": filters}
    params = {"timeout": "0", **({"pos": pos} if pos else {})}
    answer: dict[str, Any] = await client.request(
        "POST", SLIDING, {"conn_id": conn, "lists": {"all": rule}}, params=params
    )
    return answer


def without(value: Any) -> Any:
    """An answer without what changes from one to the next; what is not in order, sorted."""
    if isinstance(value, dict):
        return {key: without(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return sorted((without(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value


async def answers(room: Room, number: int) -> dict[str, Any]:
    """What everybody is told who asks anew."""
    bob, room_id = room.bob, room.room_id
    base = f"/rooms/{room_id}"
    found = {
        "sync": (await bob.get("/sync"))["rooms"]["join"][room_id],
        "lazy sync": (await bob.get("/sync", params={"filter": LAZY}))["rooms"]["join"][room_id],
        "invited": (await room.carol.get("/sync"))["rooms"],
        "sliding": (await slide(bob, f"a{number}"))["rooms"][room_id],
        "sliding spaces": (await slide(bob, f"b{number}", room_types=["m.space"]))["rooms"],
        "sliding children": (await slide(bob, f"c{number}", spaces=[room_id]))["rooms"],
        "sliding invited": (await slide(room.carol, f"d{number}"))["rooms"],
        "state": await bob.get(f"{base}/state"),
        "members": await bob.get(f"{base}/members"),
        "joined": await bob.get(f"{base}/joined_members"),
        "directory": await bob.post("/publicRooms", {}),
        "found": await bob.post("/publicRooms", {"filter": {"generic_search_term": RUDE}}),
        "summary": await bob.request("GET", f"/client/v1/room_summary/{room_id}"),
        "hierarchy": await bob.request("GET", f"/client/v1/rooms/{room_id}/hierarchy"),
        "users": await bob.post("/user_directory/search", {"search_term": "alice"}),
        "context": await bob.get(f"{base}/messages", params={"dir": "b", "limit": "50"}),
    }
    search = {"search_term": RUDE, "filter": {"rooms": [room_id]}}
    found["search"] = (await bob.post("/search", {"search_categories": {"room_events": search}}))[
        "search_categories"
    ]["room_events"]["count"]
    answer: dict[str, Any] = without(found)
    return answer


@pytest.mark.parametrize(("kind", "content"), KINDS, ids=[kind for kind, _ in KINDS])
async def test_a_running_server_says_what_one_says_that_was_started_anew(
    tmp_path: Path, kind: str, content: dict[str, Any]
) -> None:
    async with homeserver(tmp_path) as server:
        room = await make(server)
        path = f"/rooms/{room.room_id}/state/{kind}/"
        key = {"m.space.child": room.child, "m.room.member": room.bob.user_id}.get(kind, "")
        if kind == "m.room.member":
            await room.bob.put(path + key, {"membership": "join", "displayname": RUDE})
        elif content:
            if kind == "m.room.canonical_alias":
                await room.alice.put(f"/directory/room/%23{RUDE}:test.example", {"room_id": room.room_id})
            await room.alice.put(path + key, content)
        await room.alice.post(f"/rooms/{room.room_id}/invite", {"user_id": room.carol.user_id})
        before = await answers(room, 0)
        state = await room.alice.get(f"/rooms/{room.room_id}/state")
        (target,) = [
            event["event_id"] for event in state if (event["type"], event["state_key"]) == (kind, key)
        ]
        await room.alice.put(f"/rooms/{room.room_id}/redact/{target}/1", {})
        await room.alice.send(room.room_id, "and on")

        running = await answers(room, 1)

    async with homeserver(tmp_path) as server:
        anew = await answers(room.at(server), 2)
    assert {name for name in running if running[name] != anew[name]} == set()
    assert running != before
    if kind not in ("m.room.power_levels", "m.room.create"):
        assert RUDE in json.dumps(before)
    assert [name for name, said in running.items() if RUDE in json.dumps(said)] == []


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with homeserver(tmp_path) as server:
        yield await make(server)


async def redact_state(room: Room, kind: str, key: str = "") -> str:
    state = await room.alice.get(f"/rooms/{room.room_id}/state")
    (target,) = [event["event_id"] for event in state if (event["type"], event["state_key"]) == (kind, key)]
    path = f"/rooms/{room.room_id}/redact/{target}/{room.alice.transaction_id()}"
    await room.alice.put(path, {})
    return str(target)


async def test_sliding_syncs_that_go_on_are_told(room: Room) -> None:
    await room.alice.put(f"/rooms/{room.room_id}/state/m.room.topic/", {"topic": RUDE})
    await room.alice.put(f"/rooms/{room.room_id}/state/m.room.avatar/", {"url": f"mxc://x/{RUDE}"})
    known = await slide(room.bob, "c")
    assert known["rooms"][room.room_id]["name"] == "Before"
    for kind in ("m.room.name", "m.room.topic", "m.room.avatar"):
        await redact_state(room, kind)

    told = await slide(room.bob, "c", known["pos"])

    news = told["rooms"][room.room_id]
    assert (news["name"], news["avatar"]) == (None, None)
    assert [hero["user_id"] for hero in news["heroes"]] == [room.alice.user_id]
    assert {event["type"]: event["content"] for event in news["required_state"]} == {
        "m.room.name": {},
        "m.room.topic": {},
        "m.room.avatar": {},
    }
    await room.alice.put(f"/profile/{room.alice.user_id}/displayname", {"displayname": RUDE})
    told = await slide(room.bob, "c", told["pos"])
    assert told["rooms"][room.room_id]["heroes"][0]["displayname"] == RUDE
    await redact_state(room, "m.room.member", room.alice.user_id)
    told = await slide(room.bob, "c", told["pos"])
    assert "displayname" not in told["rooms"][room.room_id]["heroes"][0]
    await room.alice.send(room.room_id, "nothing more about it")
    news = (await slide(room.bob, "c", told["pos"]))["rooms"][room.room_id]
    assert not {"name", "avatar", "heroes", "required_state"} & news.keys()


async def test_a_sync_with_a_gap_has_what_was_redacted(room: Room) -> None:
    since = (await room.bob.get("/sync"))["next_batch"]
    await redact_state(room, "m.room.name")
    news = (await room.bob.get("/sync", params={"since": since}))["rooms"]["join"][room.room_id]
    assert [event["type"] for event in news["timeline"]["events"]] == ["m.room.redaction"]
    assert "state" not in news or news["state"].get("events", []) == []
    assert news["summary"]["m.heroes"] == [room.alice.user_id]
    for number in range(12):
        await room.alice.send(room.room_id, str(number))

    news = (await room.bob.get("/sync", params={"since": since}))["rooms"]["join"][room.room_id]

    assert news["timeline"]["limited"]
    (name,) = news["state"]["events"]
    assert (name["type"], name["content"]) == ("m.room.name", {})
    assert news["summary"]["m.heroes"] == [room.alice.user_id]


async def test_invites_are_told_anew(room: Room) -> None:
    await room.alice.put(f"/rooms/{room.room_id}/state/m.room.name/", {"name": RUDE})
    await room.alice.post(f"/rooms/{room.room_id}/invite", {"user_id": room.carol.user_id})
    first = await room.carol.get("/sync")
    assert RUDE in json.dumps(first["rooms"]["invite"])
    await redact_state(room, "m.room.name")
    second = await room.carol.get("/sync", params={"since": first["next_batch"]})
    assert f'"{RUDE}"' not in json.dumps(second["rooms"]["invite"][room.room_id])


async def test_a_head_built_in_the_same_group_does_not_know_what_was(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        room = await make(server)
        await room.bob.request("GET", f"/client/v1/room_summary/{room.room_id}")
        state = await room.alice.get(f"/rooms/{room.room_id}/state")
        (name,) = [event["event_id"] for event in state if event["type"] == "m.room.name"]
        head = await server.services.history.room_heads.get(room.room_id)
        await server.services.history.room_heads.state(head, [("m.room.name", "")])
        assert isinstance(server.services.history.room_writer, RoomWriter)
        redacting = room.alice.put(f"/rooms/{room.room_id}/redact/{name}/1", {})
        await asyncio.gather(redacting, *(room.alice.send(room.room_id, str(n)) for n in range(5)))

        head = await server.services.history.room_heads.get(room.room_id)

        found = await server.services.history.room_heads.state(head, [("m.room.name", "")])
        assert found["m.room.name", ""].content == {}
