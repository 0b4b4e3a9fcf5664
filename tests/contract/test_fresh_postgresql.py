"""A PostgreSQL database that was just made has no statistics: no statement may read whole tables meanwhile.

The plan of a prepared statement stays as it was when the table was empty, and read in whole, until the
first ANALYZE.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from palpo.app import starting
from palpo.db.migrations.upgrade import upgrade
from palpo.db.postgresql_statistics import PostgresStatistics
from tests.contract.conftest import Servers, remake
from tests.support.homeserver import Client, homeserver

pytestmark = pytest.mark.postgresql
MESSAGES, CHANGES = 120, 60
SMALL = {"alembic_version", "server_meta", "stream_position", "leases", "consumers", "registration_tokens"}
"""Tables that never have more than a few rows."""


@pytest.fixture(autouse=True)
def _the_server_tells_the_planner_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "database_statistics", lambda url: None)


@pytest.fixture
async def url(servers: Servers) -> str:
    """A database that nobody analyzes."""
    url = await asyncio.to_thread(servers.server_url, "postgresql", "_fresh", migrated=False)
    await remake(os.environ["PALPO_TEST_POSTGRESQL_URL"], str(make_url(url).database))
    await asyncio.to_thread(upgrade, url)
    connection = await asyncpg.connect(url)
    for (name,) in await connection.fetch("SELECT relname FROM pg_stat_user_tables"):
        await connection.execute(f"ALTER TABLE {name} SET (autovacuum_enabled = false)")
    await connection.execute("SELECT pg_stat_reset()")
    await connection.close()
    return url


async def read_in_whole(url: str) -> dict[str, tuple[int, int]]:
    """Table → how often it was, and how many rows were read then."""
    await asyncio.sleep(0.2)  # Until the server's backends are gone, and have told of it.
    connection = await asyncpg.connect(url)
    rows = await connection.fetch(
        "SELECT relname, seq_scan, seq_tup_read FROM pg_stat_user_tables WHERE seq_tup_read > 0"
    )
    await connection.close()
    return {row[0]: (row[1], row[2]) for row in rows if row[0] not in SMALL}


async def life(server: Any, alice: Client, bob: Client, room: str) -> None:
    """What goes on all day."""
    since = (await alice.get("/sync"))["next_batch"]
    for number in range(MESSAGES):
        event_id = await bob.send(room, f"message {number}")
        if number % 10 == 0:
            await alice.post(f"/rooms/{room}/receipt/m.read/{event_id}")
            since = (await alice.get("/sync", params={"since": since}))["next_batch"]
            messages = {"messages": {alice.user_id: {"*": {"n": number}}}}
            await bob.put(f"/sendToDevice/org.example/{bob.transaction_id()}", messages)
    for number in range(CHANGES):
        await bob.put(f"/rooms/{room}/state/org.example.counter/{number % 7}", {"n": number})
    for number in range(20):
        one = await server.register(f"user{number}")
        await one.post(f"/join/{room}")
        await one.put(f"/profile/{one.user_id}/displayname", {"displayname": f"Number {number}"})
        await one.get("/sync")
    page = await alice.get(f"/rooms/{room}/messages", params={"dir": "b", "limit": 50})
    await alice.get(f"/rooms/{room}/messages", params={"dir": "b", "limit": 50, "from": page["end"]})
    await alice.get(f"/rooms/{room}/members")
    await alice.post("/search", {"search_categories": {"room_events": {"search_term": "message 7"}}})
    await alice.post("/user_directory/search", {"search_term": "number"})
    sliding = {"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 9, "required_state": []}}}
    await alice.request("POST", "/client/unstable/org.matrix.simplified_msc3575/sync", sliding)


async def test_nothing_is_read_in_whole(url: str, tmp_path: Path) -> None:
    async with homeserver(tmp_path, database={"url": url}) as server:
        alice, bob = await server.register("alice"), await server.register("bob")
        room = await bob.create_room(preset="public_chat")
        await alice.post(f"/join/{room}")
        await life(server, alice, bob, room)

    assert await read_in_whole(url) == {}


async def test_the_planner_is_told_of_tables_that_grow(url: str, tmp_path: Path) -> None:
    """Of what the first plan was bad for: paging through a room by another order than its index has."""
    told = PostgresStatistics(url)
    async with homeserver(tmp_path, database={"url": url}) as server:
        bob = await server.register("bob")
        room = await bob.create_room(preset="public_chat")
        for _ in range(8):
            await bob.get(f"/rooms/{room}/messages", params={"dir": "b", "limit": 10})
        for number in range(2 * MESSAGES):
            await bob.send(room, f"message {number}")
        grown: list[str] = []
        async with asyncio.timeout(30):
            # The database's processes tell of what they did once a second, or when idle for ten.
            while "events" not in grown:
                await asyncio.sleep(0.5)
                grown += await told.refresh()
        since = await page_reads(url)
        await bob.get(f"/rooms/{room}/messages", params={"dir": "b", "limit": 10, "from": "t100-100000"})
    assert "events" not in await told.refresh()
    assert await page_reads(url) - since < 4 * 10


async def page_reads(url: str) -> int:
    """How many entries of the indexes of a room's events have been read."""
    await asyncio.sleep(1.5)
    connection = await asyncpg.connect(url)
    count = await connection.fetchval(
        "SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE indexrelname LIKE 'ix_events_room_id%'"
    )
    await connection.close()
    return int(count)
