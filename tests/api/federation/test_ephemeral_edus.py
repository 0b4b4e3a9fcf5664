"""Who types, who is there, what was read: told to other servers, and taken from them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from palpo.services.federation.servers.destinations import Destinations
from palpo.workers.remote_presence import GONE_MS, RemotePresenceWorker
from tests.support.federated_rooms import edus, listens, set_membership, shared_room, until, until_found
from tests.support.homeserver import Client, Homeserver
from tests.support.pairs import Town
from tests.support.remote_server import RemoteServer, remote_server
from tests.support.remote_users import BOB, CAROL, KEY, SERVER

NOBODY = "@nobody:hs1.test"


@pytest.fixture
async def remote(town: Town) -> AsyncIterator[RemoteServer]:
    async with remote_server(town, SERVER, key=KEY, now_ms=lambda: 1_700_000_000_000) as remote:
        listens(remote)
        yield remote


@pytest.fixture
async def server(town: Town, remote: RemoteServer) -> AsyncIterator[Homeserver]:
    async with town.homeserver("hs1.test") as server:
        yield server


@pytest.fixture
async def room(server: Homeserver, alice: Client) -> str:
    """Bob is in it, of the other server."""
    return await shared_room(server, alice)


class Teller:
    """The other server, which says things."""

    def __init__(self, server: Homeserver, remote: RemoteServer) -> None:
        self.server = server
        self.remote = remote
        self.number = 0

    async def tell(self, edu_type: str, content: Any) -> None:
        self.number += 1
        body = {
            "origin": SERVER,
            "origin_server_ts": self.server.clock.now_ms(),
            "pdus": [],
            "edus": [{"edu_type": edu_type, "content": content}],
        }
        await self.remote.ask(self.server, "PUT", f"/_matrix/federation/v1/send/{self.number}", body)

    async def typing(self, room_id: Any, user_id: Any, *, typing: Any = True) -> None:
        await self.tell("m.typing", {"room_id": room_id, "user_id": user_id, "typing": typing})

    async def read(self, room_id: str, user_id: str, event_id: str, **data: Any) -> None:
        said = {"event_ids": [event_id], "data": {"ts": 1234, **data}}
        await self.tell("m.receipt", {room_id: {"m.read": {user_id: said}}})

    async def presence(self, *push: Any) -> None:
        await self.tell("m.presence", {"push": list(push)})


@pytest.fixture
async def teller(server: Homeserver, remote: RemoteServer) -> Teller:
    return Teller(server, remote)


async def ephemeral(client: Client, room_id: str, edu_type: str) -> Any:
    """What a client is shown of a room."""
    synced = (await client.get("/sync"))["rooms"]["join"][room_id]
    return [item["content"] for item in synced["ephemeral"]["events"] if item["type"] == edu_type]


async def typing(client: Client, room_id: str) -> list[str]:
    shown = await ephemeral(client, room_id, "m.typing")
    return shown[0]["user_ids"] if shown else []


async def deny(alice: Client, room: str) -> None:
    """Shut the other server out of a room."""
    await alice.put(f"/rooms/{room}/state/m.room.server_acl", {"allow": ["*"], "deny": [SERVER]})


async def test_typing_is_told(server: Homeserver, alice: Client, room: str, remote: RemoteServer) -> None:
    alone = await alice.create_room()
    await alice.put(f"/rooms/{alone}/typing/{alice.user_id}", {"typing": True, "timeout": 20000})
    await alice.put(f"/rooms/{room}/typing/{alice.user_id}", {"typing": True, "timeout": 20000})
    await until(lambda: edus(remote, "m.typing"))
    server.clock.advance(21_000)
    await until(lambda: len(edus(remote, "m.typing")) > 1)
    told = [(item["room_id"], item["user_id"], item["typing"]) for item in edus(remote, "m.typing")]
    assert told == [(room, alice.user_id, True), (room, alice.user_id, False)]


async def test_receipts_are_told(alice: Client, room: str, remote: RemoteServer) -> None:
    root = await alice.send(room, "root")
    reply = await alice.put(
        f"/rooms/{room}/send/m.room.message/reply",
        {"body": "reply", "m.relates_to": {"rel_type": "m.thread", "event_id": root}},
    )
    event_id = reply["event_id"]
    await alice.post(f"/rooms/{room}/receipt/m.read.private/{event_id}", {})
    await alice.post(f"/rooms/{room}/receipt/m.read/{event_id}", {})
    await alice.post(f"/rooms/{room}/receipt/m.read/{event_id}", {"thread_id": root})
    await until(lambda: len(edus(remote, "m.receipt")) >= 2)
    told = [item[room]["m.read"][alice.user_id] for item in edus(remote, "m.receipt")]
    assert [item["event_ids"] for item in told] == [[event_id]] * 2
    assert sorted(item["data"].get("thread_id", "") for item in told) == ["", root]


async def test_presence_is_told(alice: Client, room: str, remote: RemoteServer) -> None:
    await alice.put(
        f"/presence/{alice.user_id}/status", {"presence": "unavailable", "status_msg": "at lunch"}
    )
    await until(lambda: edus(remote, "m.presence"))
    ((told,),) = [item["push"] for item in edus(remote, "m.presence")]
    assert (told["user_id"], told["presence"], told["status_msg"], told["currently_active"]) == (
        alice.user_id,
        "unavailable",
        "at lunch",
        False,
    )


async def test_it_is_said_again_who_is_there(server: Homeserver, alice: Client, room: str) -> None:
    news, told = server.services.federation.news, list[Any]()
    server.services.federation.outgoing_edus.attach(lambda servers, key, edu: told.append((edu, servers)))
    await alice.get("/sync")
    await until(lambda: told)
    told.clear()
    await news.rest()
    assert told == []
    server.clock.advance(26 * 60 * 1000)
    await news.rest()
    ((edu, servers),) = told
    assert edu.edu_type == "m.presence"
    assert orjson.loads(edu.json)["content"]["push"][0]["user_id"] == alice.user_id
    assert servers == {SERVER}


async def test_typing_is_taken(server: Homeserver, alice: Client, room: str, teller: Teller) -> None:
    await teller.typing(room, BOB)
    assert await typing(alice, room) == [BOB]
    await teller.typing(room, BOB, typing=False)
    assert await typing(alice, room) == []
    await teller.typing(room, BOB)
    server.clock.advance(61_000)

    async def is_over() -> bool:
        return not await typing(alice, room)

    await until_found(is_over)


async def test_whose_typing_is_not_taken(
    server: Homeserver, alice: Client, room: str, teller: Teller
) -> None:
    for user in (CAROL, NOBODY, alice.user_id, "@bob:elsewhere.example", "bob", 5, None):
        await teller.typing(room, user)
    for room_id in ("!nothing:hs1.test", "", None, 5, [room], room[1:]):
        await teller.typing(room_id, BOB)
    for content in ({}, {"room_id": room}, {"room_id": room, "user_id": BOB, "typing": "yes"}):
        await teller.tell("m.typing", content)
    assert await typing(alice, room) == []
    await set_membership(server, room, BOB, "leave")
    await teller.typing(room, BOB)
    assert await typing(alice, room) == []


async def test_acls_hold_for_edus(server: Homeserver, alice: Client, room: str, teller: Teller) -> None:
    event_id = await alice.send(room, "Hello")
    await deny(alice, room)
    await teller.typing(room, BOB)
    await teller.read(room, BOB, event_id)
    assert await typing(alice, room) == []
    assert await ephemeral(alice, room, "m.receipt") == []


async def test_receipts_are_taken(alice: Client, room: str, teller: Teller) -> None:
    event_id = await alice.send(room, "Hello")
    await teller.read(room, BOB, event_id)
    assert await ephemeral(alice, room, "m.receipt") == [{event_id: {"m.read": {BOB: {"ts": 1234}}}}]


async def test_which_receipts_are_not_taken(alice: Client, room: str, teller: Teller) -> None:
    event_id, other = await alice.send(room, "Hello"), await alice.create_room()
    elsewhere = await alice.send(other, "Hello")
    for user in (CAROL, alice.user_id, "@bob:elsewhere.example", "bob"):
        await teller.read(room, user, event_id)
    for name in (elsewhere, "$unknown", "", "x" * 300):
        await teller.read(room, BOB, name)
    await teller.read(other, BOB, elsewhere)
    await teller.read(room, BOB, event_id, thread_id="x" * 300)
    await teller.read(room, BOB, event_id, thread_id=5)
    for content in (
        {room: 5},
        {room: {"m.read": 5}},
        {room: {"m.read": {BOB: 5}}},
        {room: {"m.read": {BOB: {"event_ids": event_id}}}},
        {room: {"m.read": {BOB: {"event_ids": []}}}},
        {room: {"m.read": {BOB: {"event_ids": [5], "data": 5}}}},
        {room: {"m.read.private": {BOB: {"event_ids": [event_id], "data": {"ts": 1}}}}},
        {"!unknown:x": {"m.read": {BOB: {"event_ids": [event_id]}}}},
    ):
        await teller.tell("m.receipt", content)
    assert await ephemeral(alice, room, "m.receipt") == []
    await teller.tell("m.receipt", {room: {"m.read": {BOB: {"event_ids": [event_id], "data": {"ts": -1}}}}})
    assert BOB in (await ephemeral(alice, room, "m.receipt"))[0][event_id]["m.read"]


async def presence(client: Client) -> dict[str, Any]:
    """What a client is shown, by user."""
    events = (await client.get("/sync")).get("presence", {}).get("events", [])
    return {item["sender"]: item["content"] for item in events if item["sender"] != client.user_id}


async def test_presence_is_taken(alice: Client, room: str, teller: Teller) -> None:
    await teller.presence(
        {
            "user_id": BOB,
            "presence": "online",
            "last_active_ago": 5000,
            "currently_active": True,
            "status_msg": "Hi",
        }
    )
    assert await presence(alice) == {
        BOB: {"presence": "online", "last_active_ago": 5000, "currently_active": True, "status_msg": "Hi"}
    }
    await teller.presence({"user_id": BOB, "presence": "offline", "last_active_ago": 5000})
    assert await presence(alice) == {}


async def test_which_presence_is_not_taken(alice: Client, room: str, teller: Teller) -> None:
    online = {"presence": "online", "last_active_ago": 1}
    await teller.presence(
        {**online, "user_id": CAROL},
        {**online, "user_id": alice.user_id},
        {**online, "user_id": "@bob:elsewhere.example"},
        {**online, "user_id": None},
        {**online, "user_id": BOB, "presence": "dancing"},
        {"user_id": BOB},
        5,
    )
    for content in ({}, {"push": 5}, {"push": {}}):
        await teller.tell("m.presence", content)
    assert await presence(alice) == {}
    await teller.presence({**online, "user_id": BOB, "last_active_ago": 2**53 - 1, "status_msg": "x" * 5000})
    assert await presence(alice) == {BOB: {"presence": "online", "currently_active": False}}


async def test_whose_server_is_gone_is_not_there(
    server: Homeserver, alice: Client, room: str, remote: RemoteServer, teller: Teller
) -> None:
    """Not at once, and only of that server."""
    await teller.presence({"user_id": BOB, "presence": "online", "last_active_ago": 1})
    worker = RemotePresenceWorker(
        server.services.federation.destinations,
        server.services.personal.presence,
        server.services.server.wakeups,
        server.clock,
    )
    server.clock.advance(2 * GONE_MS)
    await worker.look()
    assert (await presence(alice))[BOB]["presence"] == "online"
    remote.answers.clear()
    failures = server.services.federation.destinations
    await alice.send(room, "Is anybody there?")
    await until_found(lambda: _failing(failures))
    # What is in the database is told of a moment later, and before anything that is written after it.
    await alice.send(room, "Still nobody?")
    await worker.look()
    assert (await presence(alice))[BOB]["presence"] == "online"
    server.clock.advance(GONE_MS + 1)
    await teller.presence({"user_id": BOB, "presence": "online"})
    await worker.look()
    assert (await presence(alice))[BOB]["presence"] == "online", "it still says something"
    server.clock.advance(GONE_MS + 1)
    await worker.look()
    told = await alice.get(f"/presence/{BOB}/status")
    assert told["presence"] == "offline"


async def _failing(destinations: Destinations) -> bool:
    return any(item.failures for item in await destinations.all())
