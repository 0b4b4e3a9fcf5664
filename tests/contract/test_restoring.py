"""A database that was put back from a backup: nothing is lost, and nothing given out twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from palpo.db.migrations.connection import on_connection
from palpo.db.tables import metadata
from tests.support.homeserver import Client, Homeserver, homeserver

SLIDING = "/client/unstable/org.matrix.simplified_msc3575/sync"
ALGORITHM = "signed_curve25519"

Rows = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A database, and the data folder beside it."""

    url: str
    data: Path

    @asynccontextmanager
    async def server(self) -> AsyncIterator[Homeserver]:
        """A homeserver there."""
        async with homeserver(self.data, database={"url": self.url}) as server:
            yield server

    async def backup(self) -> Rows:
        """Every row of the database."""
        return await in_thread(self.url, dumped)

    async def put_back(self, rows: Rows) -> None:
        """The database as it was at the backup; the folder stays as it is."""

        def work(connection: sa.Connection) -> None:
            for table in metadata.sorted_tables:
                connection.execute(table.delete())
                if rows[table.name]:
                    connection.execute(table.insert(), rows[table.name])

        await in_thread(self.url, work)


def dumped(connection: sa.Connection) -> Rows:
    return {
        table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
        for table in metadata.sorted_tables
    }


async def in_thread(url: str, work: Any) -> Any:
    return await asyncio.to_thread(on_connection, url, work)


@pytest.fixture
def place(database_url: str, database: Any, tmp_path: Path) -> Place:
    (tmp_path / "data").mkdir()
    return Place(url=database_url, data=tmp_path / "data")


def back(client: Client, server: Homeserver) -> Client:
    """The same device, at a server that was started again."""
    again = Client(server.http, client.user_id, client.token, client.device_id)
    again._transactions = client._transactions + 1000
    return again


async def tell(sender: Client, receiver: Client, value: str) -> None:
    path = f"/sendToDevice/org.example/{sender.transaction_id()}"
    await sender.put(path, {"messages": {receiver.user_id: {"*": {"value": value}}}})


def told(answer: dict[str, Any]) -> list[str]:
    return [event["content"]["value"] for event in answer.get("to_device", {}).get("events", [])]


def texts(answer: dict[str, Any], room_id: str) -> list[str]:
    room = answer.get("rooms", {}).get("join", {}).get(room_id, {"timeline": {"events": []}})
    return [e["content"]["body"] for e in room["timeline"]["events"] if e["type"] == "m.room.message"]


async def upload_keys(client: Client, count: int) -> None:
    keys = {f"{ALGORITHM}:{n}": {"key": f"k{n}", "signatures": {}} for n in range(count)}
    fallback = {f"{ALGORITHM}:F": {"key": "f", "fallback": True, "signatures": {}}}
    await client.post("/keys/upload", {"one_time_keys": keys, "fallback_keys": fallback})


async def claim(client: Client, of: Client) -> str:
    asked = {"one_time_keys": {of.user_id: {of.device_id: ALGORITHM}}}
    found = (await client.post("/keys/claim", asked))["one_time_keys"]
    return str(next(iter(found[of.user_id][of.device_id])))


async def slide(
    client: Client, pos: str | None = None, *, status: int = 200, since: str | None = None
) -> Any:
    to_device = {"enabled": True, **({"since": since} if since else {})}
    lists = {"all": {"ranges": [[0, 9]], "timeline_limit": 9, "required_state": []}}
    body = {"lists": lists, "extensions": {"to_device": to_device}}
    params = {"timeout": 0, **({"pos": pos} if pos else {})}
    return await client.request("POST", SLIDING, body, status=status, params=params)


async def test_what_follows_a_backup_reaches_clients_that_are_ahead_of_it(place: Place) -> None:
    async with place.server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await bob.create_room(preset="public_chat", topic="At the backup")
        await alice.post(f"/join/{room}")
        await alice.put(f"/user/{alice.user_id}/account_data/org.example", {"at": "the backup"})
    kept = await place.backup()
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        await bob.put(f"/rooms/{room}/state/m.room.topic", {"topic": "Lost"})
        await alice.put(f"/user/{alice.user_id}/account_data/org.example", {"at": "a time that is lost"})
        for number in range(30):
            await bob.send(room, f"lost {number}")
        await tell(bob, alice, "lost")
        since = (await alice.get("/sync"))["next_batch"]
        slid = await slide(alice)
    await place.put_back(kept)
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        await bob.send(room, "after it")
        await tell(bob, alice, "a key")
        answer = await alice.get("/sync", params={"since": since, "timeout": 0})
        again = await alice.get("/sync", params={"since": since, "timeout": 0})
        quiet = await alice.get("/sync", params={"since": answer["next_batch"], "timeout": 0})
        unknown = await slide(alice, slid["pos"], status=400)
        anew = await slide(alice, since=slid["extensions"]["to_device"]["next_batch"])
        await bob.send(room, "later")
        later = await alice.get("/sync", params={"since": answer["next_batch"], "timeout": 0})

    joined = answer["rooms"]["join"][room]
    topics = [e["content"]["topic"] for e in joined["state"]["events"] if e["type"] == "m.room.topic"]
    data = {e["type"]: e["content"] for e in answer["account_data"]["events"]}
    assert texts(answer, room) == ["after it"]
    assert told(answer) == told(again) == ["a key"], "it stays until it is acknowledged"
    assert topics == ["At the backup"], "the state that was lost is replaced"
    assert data["org.example"] == {"at": "the backup"}
    assert "rooms" not in quiet, "told once"
    assert told(quiet) == []
    assert unknown["errcode"] == "M_UNKNOWN_POS"
    assert texts(later, room) == ["later"]
    events = anew["rooms"][room]["timeline"]
    assert events[-1]["content"] == {"body": "after it", "msgtype": "m.text"}


async def test_sliding_sync_keeps_messages_to_devices(place: Place) -> None:
    async with place.server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
    kept = await place.backup()
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        for number in range(30):
            await tell(bob, alice, f"lost {number}")
        since = (await slide(alice))["extensions"]["to_device"]["next_batch"]
    await place.put_back(kept)
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        await tell(bob, alice, "a key")
        answer = await slide(alice, since=since)

    assert [e["content"]["value"] for e in answer["extensions"]["to_device"]["events"]] == ["a key"]


async def test_a_claimed_key_is_not_given_out_again(place: Place) -> None:
    """Also where claims are all that happened since the backup."""
    async with place.server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        await upload_keys(alice, 5)
    kept = await place.backup()
    async with place.server() as server:
        claimed = await claim(back(bob, server), alice)
    await place.put_back(kept)
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        counts = await alice.get("/sync")
        after = await claim(bob, alice)
        await upload_keys(alice, 9)
        fresh = await claim(bob, alice)

    assert claimed == f"{ALGORITHM}:0"
    assert counts["device_one_time_keys_count"].get(ALGORITHM, 0) == 0
    assert counts["device_unused_fallback_key_types"] == []
    assert after == f"{ALGORITHM}:F"
    assert fresh != f"{ALGORITHM}:F"


async def test_others_look_at_keys_again(place: Place) -> None:
    async with place.server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await bob.create_room(preset="public_chat")
        await alice.post(f"/join/{room}")
        keys = {"user_id": bob.user_id, "device_id": bob.device_id, "algorithms": [], "keys": {}}
        await bob.post("/keys/upload", {"device_keys": {**keys, "signatures": {}}})
    kept = await place.backup()
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        await bob.send(room, "lost")
        since = (await alice.get("/sync"))["next_batch"]
    await place.put_back(kept)
    async with place.server() as server:
        answer = await back(alice, server).get("/sync", params={"since": since, "timeout": 0})

    assert answer["device_lists"]["changed"] == [bob.user_id]


async def test_a_start_over_the_same_database_is_no_restoration(place: Place) -> None:
    async with place.server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await bob.create_room(preset="public_chat")
        await upload_keys(alice, 5)
        since = (await bob.get("/sync"))["next_batch"]
        slid = await slide(bob)
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        sent = await bob.send(room, "hello")
        answer = await bob.get("/sync", params={"since": since, "timeout": 0})
        slid = await slide(bob, slid["pos"])
        counts = await alice.get("/sync")

    assert [e["event_id"] for e in answer["rooms"]["join"][room]["timeline"]["events"]] == [sent]
    assert [e["event_id"] for e in slid["rooms"][room]["timeline"]] == [sent]
    assert counts["device_one_time_keys_count"] == {ALGORITHM: 5}


async def test_where_nobody_could_notice_a_token_from_the_future_begins_anew(place: Place) -> None:
    """The data folder was put back too, and ``palpo restore`` was not run."""
    async with place.server() as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await bob.create_room(preset="public_chat")
        await alice.post(f"/join/{room}")
    async with place.server() as server:
        alice, bob = back(alice, server), back(bob, server)
        await bob.send(room, "hello")
        await tell(bob, alice, "a key")
        position = int((await alice.get("/sync"))["next_batch"][1:])
        since = f"s{position + 1000}"
        answer = await alice.get("/sync", params={"since": since, "timeout": 0})
        await alice.get("/sync", params={"since": since, "timeout": 0})
        await slide(alice, f"{since}_abc_1", status=400)
        slid = await slide(alice, since=since)

    assert texts(answer, room) == ["hello"]
    assert told(answer) == ["a key"]
    assert json.dumps(slid["extensions"]["to_device"]).count("a key") == 1
