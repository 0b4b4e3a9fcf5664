"""Spaces whose rooms are on several servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.support.homeserver import Client
from tests.support.pairs import Town, pair
from tests.support.remote_server import RemoteServer, remote_server

REMOTE = "remote.example"
PATH = "/_matrix/federation/v1/hierarchy/"
SPACE = {"creation_content": {"type": "m.space"}, "preset": "public_chat"}


async def link(user: Client, space: str, child: str, *via: str, **more: Any) -> None:
    path = f"/rooms/{space}/state/m.space.child/{quote(child, safe='')}"
    await user.put(path, {"via": list(via), **more})


async def rooms(user: Client, space: str, query: str = "") -> list[str]:
    path = f"/_matrix/client/v1/rooms/{quote(space, safe='')}/hierarchy{query}"
    answer = await user.request("GET", path.removeprefix("/_matrix"))
    return [room["room_id"] for room in answer["rooms"]]


def shown(room_id: str, **more: Any) -> dict[str, Any]:
    return {
        "room_id": room_id,
        "num_joined_members": 1,
        "world_readable": False,
        "guest_can_join": False,
        "join_rule": "public",
        **more,
    }


def child(room_id: object, *via: object, time: object = 1) -> dict[str, Any]:
    return {
        "type": "m.space.child",
        "state_key": room_id,
        "sender": "@bob:remote.example",
        "content": {"via": list(via)},
        "origin_server_ts": time,
    }


async def test_a_space_over_two_servers(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        root, room = await alice.create_room(**SPACE), await alice.create_room(preset="public_chat")
        space = await bob.create_room(**SPACE)
        far, hidden = await bob.create_room(preset="public_chat"), await bob.create_room()
        await link(alice, root, space, "hs2.test")
        await link(alice, root, hidden, "hs2.test")
        for item in (far, hidden):
            await link(bob, space, item, "hs2.test")
        await link(bob, space, room, "hs1.test")
        assert set(await rooms(alice, root)) == {root, space, far, room}
        assert await rooms(alice, root, "?max_depth=1") == [root, space]
        assert await rooms(alice, space, "?limit=1") == [space]
        summary = f"/client/v1/room_summary/{quote(far, safe='')}?via=hs2.test"
        await one.client().request("GET", summary, status=404)
        assert (await alice.request("GET", summary))["room_id"] == far
        summary = f"/client/v1/room_summary/{quote(hidden, safe='')}?via=hs2.test"
        await alice.request("GET", summary, status=404)


async def test_restricted_rooms_are_for_members_of_what_they_name(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, carol, bob = (
            await one.register("alice"),
            await one.register("carol"),
            await two.register("bob"),
        )
        root = await alice.create_room(**SPACE)
        allow = {"type": "m.room_membership", "room_id": root, "via": ["hs1.test"]}
        rules = {"join_rule": "restricted", "allow": [allow]}
        room = await bob.create_room(
            initial_state=[{"type": "m.room.join_rules", "state_key": "", "content": rules}]
        )
        await link(alice, root, room, "hs2.test")
        # hs2 is not in the space, and cannot know who is.
        assert await rooms(alice, root) == [root]
        assert await rooms(carol, root) == [root]
        # Now it is, and tells; who may see the room is this server's to say.
        await bob.post(f"/join/{quote(root, safe='')}?server_name=hs1.test")
        assert await rooms(alice, root) == [root, room]
        assert await rooms(carol, root) == [root]


async def test_what_others_answer_is_looked_at(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", REMOTE, "away.example")
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, REMOTE, now_ms=server.clock.now_ms) as remote,
    ):
        alice = await server.register("alice")
        root = await alice.create_room(**SPACE)
        space, near, secret, odd = (f"!{name}:remote.example" for name in ("space", "near", "secret", "odd"))
        await link(alice, root, space, "away.example", REMOTE)
        bad = [
            child(7, REMOTE),
            child(near),
            child(odd, 5),
            child(odd, REMOTE, time="x"),
            {**child(odd, REMOTE), "sender": 4},
            {"type": "x"},
        ]
        good = [child(near, REMOTE), child(secret, REMOTE), child("nonsense", REMOTE)]
        answer = {
            "room": shown(space, room_type="m.space", children_state=[*bad, *good]),
            "children": [7, {}, shown(near, name="N"), shown(odd), shown("nonsense"), shown(near, name=3)],
            "inaccessible_children": [secret, 4],
        }
        remote.answers["GET", PATH] = answer
        assert await rooms(alice, root) == [root, space, near]
        # The summary of a child was told with the space, and is kept; of the secret one nobody is asked.
        assert [asked.uri for asked in remote.asked] == [_of(space)]
        assert await rooms(alice, root) == [root, space, near]
        assert len(remote.asked) == 1
        server.clock.advance(10 * 60_000)
        other = {**answer, "room": shown(near, children_state=[])}
        for wrong in (other, {}, {"room": 4}, {"room": shown("x", children_state=[])}):
            remote.answers["GET", PATH] = wrong
            assert await rooms(alice, root) == [root]


async def test_served_to_those_who_might_join(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", REMOTE)
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, REMOTE, now_ms=server.clock.now_ms) as remote,
    ):
        alice = await server.register("alice")
        root, public = await alice.create_room(**SPACE), await alice.create_room(preset="public_chat")
        private = await alice.create_room(preset="private_chat")
        for item in (public, private, "!away:remote.example"):
            await link(alice, root, item, "hs1.test", suggested=item == private)
        answer = await _ask(remote, server, root)
        assert answer["room"]["room_id"] == root
        named = {event["state_key"] for event in answer["room"]["children_state"]}
        assert named == {public, private, "!away:remote.example"}
        assert [item["room_id"] for item in answer["children"]] == [public]
        assert answer["inaccessible_children"] == [private]
        answer = await _ask(remote, server, root, "?suggested_only=true")
        assert answer["children"] == []
        assert answer["inaccessible_children"] == [private]
        await _ask(remote, server, private, status=404)
        await _ask(remote, server, "!none:hs1.test", status=404)


def _of(room_id: str) -> str:
    return f"{PATH}{quote(room_id, safe='')}?suggested_only=false"


async def _ask(remote: RemoteServer, server: Any, room_id: str, query: str = "", *, status: int = 200) -> Any:
    return await remote.ask(server, "GET", f"{PATH}{quote(room_id, safe='')}{query}", status=status)
