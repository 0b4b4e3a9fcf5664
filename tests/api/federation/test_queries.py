"""Profiles and aliases, asked of each other."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from tests.support.homeserver import Homeserver
from tests.support.pairs import pair
from tests.support.remote_server import RemoteServer

REMOTE = "remote.example"
PROFILE = "/_matrix/federation/v1/query/profile"
DIRECTORY = "/_matrix/federation/v1/query/directory"


async def test_two_servers(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        await bob.put(f"/profile/{bob.user_id}/displayname", {"displayname": "Bob"})
        assert await alice.get(f"/profile/{bob.user_id}") == {"displayname": "Bob"}
        assert await alice.get(f"/profile/{bob.user_id}/displayname") == {"displayname": "Bob"}
        await alice.get(f"/profile/{bob.user_id}/avatar_url", status=404)
        await alice.get("/profile/@nobody:hs2.test", status=404)
        room_id = await bob.create_room(room_alias_name="tea ü")
        alias = "/directory/room/%23tea%20%C3%BC%3Ahs2.test"
        assert await alice.get(alias) == {"room_id": room_id, "servers": ["hs2.test"]}
        await alice.get("/directory/room/%23none%3Ahs2.test", status=404)


async def test_served_of_own_users_only(server: Homeserver, remote: RemoteServer) -> None:
    await server.register("alice")
    assert await remote.ask(server, "GET", f"{PROFILE}?user_id=%40alice%3Ahs1.test") == {
        "displayname": "alice"
    }
    for query in ("user_id=%40bob%3Aremote.example", "user_id=%40bob%3Ahs1.test"):
        answer = await remote.ask(server, "GET", f"{PROFILE}?{query}", status=404)
        assert answer["errcode"] == "M_NOT_FOUND"
    await remote.ask(server, "GET", f"{PROFILE}?user_id=%40a%3Ahs1%3Ahttp", status=400)
    await remote.ask(server, "GET", PROFILE, status=400)
    await remote.ask(server, "GET", f"{DIRECTORY}?room_alias=%23a%3Aremote.example", status=404)


async def test_answers_of_no_use(server: Homeserver, remote: RemoteServer) -> None:
    alice = await server.register("alice")
    for status, body in ((500, "{}"), (200, "[]"), (200, "x"), (403, '{"errcode": "M_FORBIDDEN"}')):
        answer = web.Response(status=status, text=body)
        remote.answers["GET", "/_matrix"] = lambda asked, answer=answer: _fresh(answer)
        for path in ("/profile/@bob:remote.example", "/directory/room/%23a%3Aremote.example"):
            assert (await alice.get(path, status=404))["errcode"] == "M_NOT_FOUND"
    remote.answers["GET", "/_matrix"] = {"room_id": "no", "servers": []}
    await alice.get("/directory/room/%23a%3Aremote.example", status=404)
    remote.answers["GET", "/_matrix"] = {"room_id": "!a:b", "servers": ["c", "/", "d:1"], "more": 1}
    answer = await alice.get("/directory/room/%23a%3Aremote.example")
    assert answer == {"room_id": "!a:b", "servers": ["c", "d:1"]}


async def _fresh(answer: web.Response) -> web.Response:
    return web.Response(status=answer.status, text=answer.text)


async def test_what_is_not_served(server: Homeserver, remote: RemoteServer) -> None:
    answer = await remote.ask(server, "GET", "/_matrix/federation/v1/query/weather?in=here", status=404)
    assert answer["errcode"] == "M_NOT_FOUND"
    answer = await remote.ask(server, "POST", "/_matrix/policy/v1/sign", {"type": "x"}, status=404)
    assert answer["errcode"] == "M_UNRECOGNIZED"
