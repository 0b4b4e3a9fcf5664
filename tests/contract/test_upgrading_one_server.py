"""A database of the last version that spoke to no other server is brought up to date, and federates."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from palpo.db.migrations.connection import on_connection
from palpo.db.migrations.differences import differences
from palpo.db.migrations.steps import upgrade_from_nothing
from palpo.db.migrations.upgrade import upgrade
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.remote_users import BOB, Remote

LAST = "0006_quotas"
FILLED = json.loads(gzip.decompress((Path(__file__).parent / "data" / "one_server.json.gz").read_bytes()))
FACTS = FILLED["facts"]
ROOM = FACTS["room"]


def fill(connection: sa.Connection) -> None:
    """Make that version's tables, with its rows."""
    upgrade_from_nothing(connection, LAST)
    for name, rows in FILLED["tables"].items():
        table = sa.table(name, *(sa.column(column) for column in rows[0]))
        connection.execute(table.delete())
        connection.execute(table.insert(), [{k: _value(v) for k, v in row.items()} for row in rows])


def _value(value: Any) -> Any:
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value


@pytest.fixture
def upgraded(empty_database_url: str) -> str:
    """Where the database is, brought up to date."""
    on_connection(empty_database_url, fill)
    upgrade(empty_database_url)
    assert on_connection(empty_database_url, differences) == []
    return empty_database_url


@pytest.fixture
async def server(upgraded: str, tmp_path: Path) -> AsyncIterator[Homeserver]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "signing.key").write_text(FILLED["signing_key"])
    async with homeserver(data, database={"url": upgraded}) as server:
        yield server


async def send(client: Client, body: str) -> str:
    """Send to the room; transaction IDs of before are known."""
    path = f"/rooms/{ROOM}/send/m.room.message/{body.replace(' ', '-')}"
    event_id: str = (await client.put(path, {"msgtype": "m.text", "body": body}))["event_id"]
    return event_id


async def test_rooms_go_on_where_they_were(server: Homeserver) -> None:
    alice, bob = (Client(server.http, **FACTS[name]) for name in ("alice", "bob"))
    synced = await alice.get("/sync", params={"since": FACTS["since"]})
    timeline = synced["rooms"]["join"][ROOM]["timeline"]["events"]
    assert [event["event_id"] for event in timeline] == [FACTS["last"]]
    page = await alice.get(f"/rooms/{ROOM}/messages", params={"dir": "b", "from": FACTS["page"], "limit": 50})
    texts = [item["content"].get("body") for item in page["chunk"] if item["type"] == "m.room.message"]
    assert texts
    assert texts == FACTS["texts"][: len(texts)][::-1]
    replies = await alice.request("GET", f"/client/v1/rooms/{ROOM}/relations/{FACTS['thread']}")
    assert [item["event_id"] for item in replies["chunk"]] == [FACTS["reply"]]
    assert FACTS["invited_to"] in (await bob.get("/sync"))["rooms"]["invite"]
    await bob.post(f"/join/{FACTS['invited_to']}")
    sent = await send(bob, "after the upgrade")
    newer = await alice.get("/sync", params={"since": synced["next_batch"]})
    assert [item["event_id"] for item in newer["rooms"]["join"][ROOM]["timeline"]["events"]] == [sent]


async def test_events_of_other_servers_come_into_rooms_of_before(server: Homeserver) -> None:
    alice = Client(server.http, **FACTS["alice"])
    remote = Remote(server, ROOM)
    join = await remote.event(BOB, ("m.room.member", BOB), {"membership": "join"})
    await remote.send(join)
    fork = await remote.event(BOB, "m.room.message", {"body": "of elsewhere"}, after=(join.event_id,))
    own = await send(alice, "of here")
    await remote.send(fork)
    page = await alice.get(f"/rooms/{ROOM}/messages", params={"dir": "b", "limit": 3})
    assert {item["event_id"] for item in page["chunk"]} == {fork.event_id, own, join.event_id}
    assert BOB in (await alice.get(f"/rooms/{ROOM}/joined_members"))["joined"]
