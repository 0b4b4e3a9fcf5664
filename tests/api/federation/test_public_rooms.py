"""Directories of other servers, and ours for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.pairs import Town, pair
from tests.support.remote_server import remote_server

REMOTE = "remote.example"
PATH = "/_matrix/federation/v1/publicRooms"


async def test_two_servers(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        for name, version in (("Tea", "11"), ("Coffee", "12")):
            await bob.create_room(visibility="public", name=name, room_version=version)
        await bob.create_room(name="Hidden")
        listed = await alice.get("/publicRooms?server=hs2.test&limit=1")
        assert len(listed["chunk"]) == 1
        assert listed["total_room_count_estimate"] == 2
        rest = await alice.get(f"/publicRooms?server=hs2.test&since={listed['next_batch']}")
        assert {room["name"] for room in listed["chunk"] + rest["chunk"]} == {"Tea", "Coffee"}
        query = {"filter": {"generic_search_term": "tea"}}
        found = await alice.post("/publicRooms?server=hs2.test", query)
        assert [room["name"] for room in found["chunk"]] == ["Tea"]
        assert (await alice.get("/publicRooms"))["chunk"] == []
        await alice.get("/publicRooms?server=nowhere.test", status=404)


async def test_what_others_answer_is_looked_at(tmp_path: Path) -> None:
    town = Town.of(tmp_path, "hs1.test", REMOTE)
    room: dict[str, Any] = {
        "room_id": "!a:remote.example",
        "num_joined_members": 3,
        "world_readable": False,
        "guest_can_join": True,
    }
    async with (
        town.homeserver("hs1.test") as server,
        remote_server(town, REMOTE, now_ms=server.clock.now_ms) as remote,
    ):
        alice = await server.register("alice")
        bad = [1, {}, {**room, "room_id": "a"}, {**room, "name": 1}, {**room, "num_joined_members": "x"}]
        remote.answers["GET", PATH] = {"chunk": [*bad, room, {**room, "num_joined_members": -4}]}
        listed = await alice.get(f"/publicRooms?server={REMOTE}")
        assert [item["num_joined_members"] for item in listed["chunk"]] == [3, 0]
        for answer in ({}, {"chunk": 1}, {"chunk": [], "next_batch": 1}, web.Response(status=500, text="x")):
            remote.answers["GET", PATH] = answer
            await alice.get(f"/publicRooms?server={REMOTE}", status=404)
        query = "limit=5&since=x%20y&third_party_instance_id=irc"
        answer = {"errcode": "M_FORBIDDEN", "error": "No"}
        remote.answers["POST", PATH] = web.json_response(answer, status=403)
        body = {"filter": {"room_types": [None]}, "include_all_networks": True, "since": "p1"}
        assert (await alice.post(f"/publicRooms?server={REMOTE}", body, status=403))[
            "errcode"
        ] == "M_FORBIDDEN"
        assert remote.content() == {
            "limit": 500,
            "filter": {"room_types": [None]},
            "include_all_networks": True,
            "since": "p1",
        }
        assert (await remote.ask(server, "GET", f"{PATH}?{query}", status=400))[
            "errcode"
        ] == "M_INVALID_PARAM"
        assert (await remote.ask(server, "POST", PATH, {"limit": 1}))["chunk"] == []
