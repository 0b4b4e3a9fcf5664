"""Keys of other servers' users: asked for, kept in step, and told to clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from palpo.core.identifiers import ServerName
from palpo.services.federation.asking.received_devices import MAX_DEVICES, MAX_LIST
from palpo.services.federation.asking.remote_device_lists import MAX_ASKED, RESYNC_MS
from palpo.workers.device_lists import DeviceListWorker
from tests.support.encryption import cross_signing_keys, device_keys, one_time_keys, sign_as, signing_key
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town, pair
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, CAROL, KEY, SERVER, Remote

V1 = "/_matrix/federation/v1/user"
QUERY, CLAIM, DEVICES = f"{V1}/keys/query", f"{V1}/keys/claim", f"{V1}/devices/"
MEMBER = "m.room.member"
KEYS = device_keys(BOB, "PHONE")
NEW = device_keys(BOB, "LAPTOP")
UNREACHABLE = {SERVER: {"status": 503, "message": "The server cannot be reached"}}


@pytest.fixture
async def remote(town: Town, server: Homeserver) -> AsyncIterator[RemoteServer]:
    async with remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote:
        remote.answers["POST", QUERY] = {"device_keys": {BOB: {"PHONE": KEYS}}}
        remote.answers["GET", DEVICES] = devices(3, NEW)
        yield remote


@pytest.fixture
async def room(server: Homeserver, alice: Client) -> Remote:
    """A room of Alice's that Bob is in."""
    room = Remote(server, await alice.create_room(preset="public_chat"))
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    return room


def devices(stream_id: int, *keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An answer to /user/devices."""
    told = [{"device_id": item["device_id"], "keys": item} for item in keys]
    return {"user_id": BOB, "stream_id": stream_id, "devices": told, **more}


def update(stream_id: int, *prev_id: int, keys: Any = NEW, **more: Any) -> dict[str, Any]:
    """The content of an m.device_list_update."""
    told = {"user_id": BOB, "device_id": keys["device_id"], "stream_id": stream_id, "keys": keys}
    return {**told, "prev_id": list(prev_id), **more}


async def tell(server: Homeserver, content: Any, *, type_: str = "m.device_list_update") -> None:
    await server.services.federation.edus.receive(ServerName(SERVER), type_, content)


async def query(client: Client, *users: str, **more: Any) -> Any:
    return await client.post("/keys/query", {"device_keys": {user: [] for user in users or (BOB,)}, **more})


def asked(remote: RemoteServer, path: str) -> int:
    return sum(item.uri.startswith(path) for item in remote.asked)


async def fetched_one_by_one(server: Homeserver, alice: Client) -> None:
    """Have Bob's list be in step with the update 3."""
    await query(alice)
    await tell(server, update(2))
    await query(alice)


class Watch:
    """Whose keys a client is told to have changed, from each look to the next."""

    def __init__(self, server: Homeserver, client: Client) -> None:
        self.server, self.client = server, client
        self.since = server.services.server.wakeups.position

    async def look(self) -> tuple[list[str], list[str]]:
        since, self.since = self.since, self.server.services.server.wakeups.position
        answer = await self.client.get(f"/keys/changes?from=s{since}&to=s{self.since}")
        return answer["changed"], answer["left"]


async def test_keys_are_asked_for_once(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    signing = cross_signing_keys(BOB, "bob")
    remote.answers["POST", QUERY] = {
        "device_keys": {BOB: {"PHONE": {**KEYS, "unsigned": {"device_display_name": "Phone"}}}},
        "master_keys": {BOB: signing["master_key"]},
        "self_signing_keys": {BOB: signing["self_signing_key"]},
    }
    for _ in range(2):
        assert await query(alice) == {
            "device_keys": {BOB: {"PHONE": {**KEYS, "unsigned": {"device_display_name": "Phone"}}}},
            "failures": {},
            "master_keys": {BOB: signing["master_key"]},
            "self_signing_keys": {BOB: signing["self_signing_key"]},
            "user_signing_keys": {},
        }
    (question,) = (item for item in remote.asked if "/send/" not in item.uri)
    assert question.uri == QUERY
    assert orjson.loads(question.body) == {"device_keys": {BOB: []}}
    some = await alice.post("/keys/query", {"device_keys": {BOB: ["OTHER"]}})
    assert some["device_keys"] == {BOB: {}}


async def test_keys_of_strangers_are_asked_for_each_time(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    for _ in range(2):
        assert (await query(alice))["device_keys"] == {BOB: {"PHONE": KEYS}}
    assert asked(remote, QUERY) == 2


async def test_what_was_kept_does_not_outlive_the_shared_room(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    carol = await server.register("carol")
    await carol.post(f"/join/{room.room_id}")
    watch = Watch(server, alice)
    await query(alice)
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "leave"}))
    assert await watch.look() == ([], [BOB])
    await query(alice)
    assert asked(remote, QUERY) == 2
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
    assert await watch.look() == ([BOB], [])
    await query(alice)
    await query(alice)
    assert asked(remote, QUERY) == 3
    await alice.post(f"/rooms/{room.room_id}/leave")
    assert await watch.look() == ([], [BOB, carol.user_id])
    await alice.post(f"/join/{room.room_id}")
    await query(alice)
    assert asked(remote, QUERY) + asked(remote, DEVICES) == 4


async def test_updates_that_follow_are_put_into_the_list(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    await fetched_one_by_one(server, alice)
    assert (asked(remote, QUERY), asked(remote, DEVICES)) == (1, 1)
    watch = Watch(server, alice)
    await tell(server, update(5, 3, keys=KEYS, device_display_name="Phone"))
    assert await watch.look() == ([BOB], [])
    named = {**KEYS, "unsigned": {"device_display_name": "Phone"}}
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": named, "LAPTOP": NEW}}
    await tell(server, update(5, 3, keys=KEYS))
    assert await watch.look() == ([], [])
    await tell(
        server, {"user_id": BOB, "device_id": "LAPTOP", "stream_id": 6, "prev_id": [5], "deleted": True}
    )
    assert await watch.look() == ([BOB], [])
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": named}}
    await tell(server, {"user_id": BOB, "device_id": "BARE", "stream_id": 7, "prev_id": [6]})
    assert await watch.look() == ([], [])
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": named}}
    assert (asked(remote, QUERY), asked(remote, DEVICES)) == (1, 1)


async def test_after_a_gap_the_list_is_fetched_again(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    await fetched_one_by_one(server, alice)
    watch = Watch(server, alice)
    remote.answers["GET", DEVICES] = devices(9, KEYS, NEW)
    await tell(server, update(8, 7))
    assert await watch.look() == ([BOB], [])
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": KEYS, "LAPTOP": NEW}}
    assert asked(remote, DEVICES) == 2
    await tell(server, update(10, 9, deleted=True))
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": KEYS}}
    assert asked(remote, DEVICES) == 2


async def test_after_a_gap_it_is_fetched_though_nobody_asks(
    town: Town, remote: RemoteServer, server: Homeserver, room: Remote, alice: Client
) -> None:
    await fetched_one_by_one(server, alice)
    worker = DeviceListWorker(server.services.federation.remote_device_lists)
    await tell(server, update(8, 7))
    await worker.resync()
    assert asked(remote, DEVICES) == 1, "it may be asked for at once"
    remote.answers["GET", DEVICES] = web.Response(status=500, text="{}")
    server.clock.advance(RESYNC_MS[0])
    await worker.resync()
    await worker.resync()
    assert asked(remote, DEVICES) == 2
    watch = Watch(server, alice)
    remote.answers["GET", DEVICES] = devices(9, KEYS)
    server.clock.advance(2 * RESYNC_MS[0])
    await worker.resync()
    assert asked(remote, DEVICES) == 3
    assert await watch.look() == ([BOB], []), "who has asked in vain asks again"
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": KEYS}}
    assert asked(remote, DEVICES) == 3


async def test_a_gap_is_known_after_a_restart(town: Town) -> None:
    async with town.homeserver("hs1.test") as server:
        alice = await server.register("alice")
        room = Remote(server, await alice.create_room(preset="public_chat"))
        await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "join"}))
        async with remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote:
            remote.answers["POST", QUERY] = {"device_keys": {BOB: {"PHONE": KEYS}}}
            await query(alice)
        await tell(server, update(8, 7))
        assert (await query(alice))["failures"] == UNREACHABLE
    async with town.homeserver("hs1.test") as server:
        server.clock.advance(4 * RESYNC_MS[0])
        watch = Watch(server, Client(server.http, alice.user_id, alice.token))
        async with remote_server(town, SERVER, key=KEY, now_ms=server.clock.now_ms) as remote:
            remote.answers["GET", DEVICES] = devices(9, NEW)
            await DeviceListWorker(server.services.federation.remote_device_lists).resync()
            assert asked(remote, DEVICES) == 1
        assert await watch.look() == ([BOB], [])
        assert (await query(watch.client))["device_keys"] == {BOB: {"LAPTOP": NEW}}


async def test_a_list_has_bounds(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    many = {f"D{number}": device_keys(BOB, f"D{number}") for number in range(MAX_DEVICES + 1)}
    remote.answers["POST", QUERY] = {"device_keys": {BOB: many}}
    assert len((await query(alice))["device_keys"][BOB]) == MAX_DEVICES
    large = {**KEYS, "large": "x" * 60_000}
    told = {f"D{number}": {**large, "device_id": f"D{number}"} for number in range(30)}
    remote.answers["POST", QUERY] = {"device_keys": {CAROL: {}, BOB: told}}
    await tell(server, update(2))
    remote.answers["GET", DEVICES] = devices(2, *told.values())
    kept = (await query(alice))["device_keys"][BOB]
    assert 0 < sum(len(str(keys)) for keys in kept.values()) <= MAX_LIST
    await tell(server, update(3, 2, keys={**large, "device_id": "MORE"}))
    remote.answers["GET", DEVICES] = devices(3, NEW)
    assert (await query(alice))["device_keys"] == {BOB: {"LAPTOP": NEW}}


async def test_an_update_during_the_fetch_is_not_lost(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    async def answer(_: Any) -> Any:
        await tell(server, update(2))
        return {"device_keys": {BOB: {"PHONE": KEYS}}}

    remote.answers["POST", QUERY] = answer
    await query(alice)
    assert (await query(alice))["device_keys"] == {BOB: {"LAPTOP": NEW}}
    assert asked(remote, DEVICES) == 1


async def test_lists_of_strangers_are_forgotten(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    await query(alice)
    lists = server.services.federation.remote_device_lists
    worker = DeviceListWorker(lists)
    await worker.forget_strangers()
    assert await lists.some_users("", 10) == [BOB]
    await room.send(await room.event(BOB, (MEMBER, BOB), {"membership": "leave"}))
    await worker.forget_strangers()
    assert await lists.some_users("", 10) == []


async def test_cross_signing_keys_are_replaced(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    await query(alice)
    watch = Watch(server, alice)
    signing = cross_signing_keys(BOB, "bob")
    content = {name: signing[name] for name in ("master_key", "self_signing_key")}
    for changed in ([BOB], []):
        await tell(server, {"user_id": BOB, **content}, type_="m.signing_key_update")
        assert await watch.look() == (changed, [])
    answer = await query(alice)
    assert answer["master_keys"] == {BOB: signing["master_key"]}
    assert answer["self_signing_keys"] == {BOB: signing["self_signing_key"]}
    assert asked(remote, QUERY) == 1


async def test_edus_that_are_refused(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    await fetched_one_by_one(server, alice)
    watch = Watch(server, alice)
    ours = {"user_id": alice.user_id, "device_id": "X", "stream_id": 4, "prev_id": [3], "deleted": True}
    stranger = {**ours, "user_id": CAROL}
    for wrong in (
        ours,
        stranger,
        {},
        {**update(4, 3), "stream_id": 2**64},
        {**update(4, 3), "stream_id": -1},
        {**update(4, 3), "prev_id": "3"},
        {**update(4, 3), "device_id": 1},
    ):
        await tell(server, wrong)
    for wrong in ({"user_id": BOB}, {"user_id": alice.user_id}, {"user_id": BOB, "master_key": {"a": 1}}):
        await tell(server, wrong, type_="m.signing_key_update")
    assert await watch.look() == ([], [])
    assert (await query(alice))["device_keys"] == {BOB: {"LAPTOP": NEW}}
    assert asked(remote, DEVICES) == 1


async def test_keys_that_are_not_the_devices_own(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    mixed = {
        "PHONE": KEYS,
        "OTHER": KEYS,
        "LIST": [],
        "FLOAT": {**device_keys(BOB, "FLOAT"), "a": 1.5},
        "": KEYS,
    }
    remote.answers["POST", QUERY] = {
        "device_keys": {BOB: mixed, CAROL: "x", alice.user_id: {"PHONE": KEYS}},
        "master_keys": {BOB: {"usage": ["self_signing"]}, CAROL: 1},
    }
    answer = await query(alice, BOB, CAROL)
    assert answer["device_keys"] == {BOB: {"PHONE": KEYS}, CAROL: {}}
    assert (answer["master_keys"], answer["failures"]) == ({}, {})


async def test_a_server_that_is_away(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    mine = device_keys(alice.user_id, alice.device_id)
    await alice.post("/keys/upload", {"device_keys": mine})
    for wrong in (web.Response(status=500, text="{}"), {"device_keys": []}, web.Response(text="x")):
        remote.answers["POST", QUERY] = wrong
        answer = await query(alice, BOB, alice.user_id)
        assert answer["failures"] == UNREACHABLE
        assert answer["device_keys"] == {alice.user_id: {alice.device_id: mine}}
        server.clock.advance(120_000)
    before = asked(remote, QUERY)
    await query(alice)
    assert (await query(alice))["failures"] == UNREACHABLE
    assert asked(remote, QUERY) == before + 1, "it is left alone for a while"
    server.clock.advance(120_000)
    remote.answers["POST", QUERY] = {"device_keys": {BOB: {"PHONE": KEYS}}}
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": KEYS}}


async def test_a_server_that_is_silent_holds_up_nobody_for_long(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    over = asyncio.Event()

    async def silent(_: Any) -> Any:
        await over.wait()
        return {}

    remote.answers["POST", QUERY] = silent
    async with asyncio.timeout(8):
        assert (await query(alice, timeout=1))["failures"] == UNREACHABLE
    over.set()


async def test_a_server_that_refuses(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    await fetched_one_by_one(server, alice)
    await tell(server, update(8, 7))
    remote.answers["GET", DEVICES] = web.Response(status=404, text="{}")
    assert (await query(alice))["device_keys"] == {BOB: {"PHONE": KEYS}}
    remote.answers["POST", CLAIM] = web.Response(status=403, text="{}")
    before = asked(remote, "/_matrix/federation/v1/user/")
    for _ in range(2):
        wanted = {BOB: {"PHONE": "signed_curve25519"}}
        answer = await alice.post("/keys/claim", {"one_time_keys": wanted})
        assert answer["failures"] == UNREACHABLE
    assert asked(remote, "/_matrix/federation/v1/user/") == before + 2, "it is there"


async def test_many_users_are_asked_for_in_parts(
    server: Homeserver, remote: RemoteServer, alice: Client
) -> None:
    users = [f"@u{number}:{SERVER}" for number in range(MAX_ASKED + 1)]

    async def answer(asked: Any) -> Any:
        wanted = orjson.loads(asked.body)["device_keys"]
        assert len(wanted) <= MAX_ASKED
        return {"device_keys": {user: {"X": device_keys(user, "X")} for user in wanted}}

    remote.answers["POST", QUERY] = answer
    found = (await query(alice, *users))["device_keys"]
    assert found == {user: {"X": device_keys(user, "X")} for user in users}
    assert asked(remote, QUERY) == 2


async def test_one_time_keys(server: Homeserver, remote: RemoteServer, alice: Client) -> None:
    keys = one_time_keys(BOB, "PHONE", 1)
    remote.answers["POST", CLAIM] = {
        "one_time_keys": {
            BOB: {
                "PHONE": keys,
                "OTHER": keys,
                "TWO": one_time_keys(BOB, "TWO", 1, 2),
                "WRONG": {"a:b": "c"},
            },
            CAROL: {"PHONE": keys},
            alice.user_id: {alice.device_id: keys},
        }
    }
    wanted = {BOB: dict.fromkeys(("PHONE", "TWO", "WRONG", "NONE"), "signed_curve25519")}
    answer = await alice.post("/keys/claim", {"one_time_keys": wanted})
    assert answer == {"one_time_keys": {BOB: {"PHONE": keys}}, "failures": {}}
    assert remote.content() == {"one_time_keys": wanted}
    remote.answers["POST", CLAIM] = web.Response(status=502, text="{}")
    answer = await alice.post("/keys/claim", {"one_time_keys": wanted})
    assert answer == {"one_time_keys": {}, "failures": UNREACHABLE}


async def test_a_user_of_another_server_is_verified(
    server: Homeserver, remote: RemoteServer, room: Remote, alice: Client
) -> None:
    master = cross_signing_keys(BOB, "bob")["master_key"]
    remote.answers["POST", QUERY] = {"device_keys": {}, "master_keys": {BOB: master}}
    await alice.post("/keys/device_signing/upload", cross_signing_keys(alice.user_id, "alice"))
    await query(alice)
    key = signing_key("aliceuser_signing")
    signed = sign_as(master, alice.user_id, key, f"ed25519:{key.verify_key_base64}")
    name = next(iter(master["keys"].values()))
    watch = Watch(server, alice)
    answer = await alice.post("/keys/signatures/upload", {BOB: {name: signed}})
    assert answer == {"failures": {}}
    assert await watch.look() == ([BOB], [])
    assert (await query(alice))["master_keys"] == {BOB: signed}
    carol = await server.register("carol")
    assert (await query(carol))["master_keys"] == {BOB: master}


async def test_two_servers_of_ours(tmp_path: Path) -> None:
    async with pair(tmp_path) as (one, two):
        alice, bob = await one.register("alice"), await two.register("bob")
        keys = device_keys(bob.user_id, bob.device_id)
        one_time = one_time_keys(bob.user_id, bob.device_id, 1)
        await bob.post("/keys/upload", {"device_keys": keys, "one_time_keys": one_time})
        answer = await query(alice, bob.user_id)
        assert answer["device_keys"] == {bob.user_id: {bob.device_id: keys}}
        wanted = {bob.user_id: {bob.device_id: "signed_curve25519"}}
        claimed = await alice.post("/keys/claim", {"one_time_keys": wanted})
        assert claimed["one_time_keys"] == {bob.user_id: {bob.device_id: one_time}}
