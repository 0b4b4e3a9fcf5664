"""Members of large rooms are counted from state to state, on every database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import pytest

from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.storage import memberships
from palpo.sync import large_rooms
from tests.support.homeserver import Client, Homeserver, homeserver
from tests.support.remote_users import BOB, CAROL, Remote

MEMBER = "m.room.member"


@pytest.fixture
async def server(database: Database, database_url: str, tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path, database={"url": database_url}) as made:
        yield made


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The rooms whose members the database was asked to count, each time."""
    asked: list[str] = []
    real = memberships.counts_many

    async def counts_many(tx: Transaction, room_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        asked.extend(room_ids)
        return await real(tx, room_ids)

    monkeypatch.setattr(memberships, "counts_many", counts_many)
    return asked


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_rooms, "LARGE", 1)


class Watcher:
    """Alice, who has a room with a name, and syncs."""

    def __init__(self, server: Homeserver, alice: Client, room_id: str, since: str) -> None:
        self.server, self.alice, self.room_id, self.since = server, alice, room_id, since
        self.known: dict[str, Any] = {}

    async def counts(self) -> tuple[int, int]:
        """Joined and invited, as syncs have told so far; and so they are in the database."""
        told = await self.alice.get("/sync", params={"since": self.since})
        self.since = told["next_batch"]
        self.known |= told["rooms"]["join"][self.room_id].get("summary", {})
        db = self.server.services.server.db
        rows = await db.read(lambda tx: memberships.counts(tx, self.room_id))
        found = self.known["m.joined_member_count"], self.known.get("m.invited_member_count", 0)
        assert found == (rows.get("join", 0), rows.get("invite", 0))
        return found


@pytest.fixture
async def watcher(server: Homeserver) -> Watcher:
    alice = await server.register("alice")
    room_id = await alice.create_room(preset="public_chat", name="Large")
    synced = await alice.get("/sync")
    made = Watcher(server, alice, room_id, synced["next_batch"])
    made.known |= synced["rooms"]["join"][room_id]["summary"]
    return made


async def test_counts_from_state_to_state(large: None, counted: list[str], watcher: Watcher) -> None:
    assert counted == [watcher.room_id]
    server, room_id = watcher.server, watcher.room_id
    bob, carol = await server.register("bob"), await server.register("carol")
    await bob.post(f"/join/{room_id}")
    assert await watcher.counts() == (2, 0)
    await watcher.alice.post(f"/rooms/{room_id}/invite", {"user_id": carol.user_id})
    assert await watcher.counts() == (2, 1)
    await bob.put(f"/rooms/{room_id}/state/m.room.member/{bob.user_id}", {"membership": "join", "x": 1})
    await carol.post(f"/join/{room_id}")
    await bob.post(f"/rooms/{room_id}/leave")
    assert await watcher.counts() == (2, 0)
    await watcher.alice.post(f"/rooms/{room_id}/ban", {"user_id": carol.user_id})
    assert await watcher.counts() == (1, 0)
    assert counted == [watcher.room_id]


async def test_forks_and_members_of_other_servers(large: None, counted: list[str], watcher: Watcher) -> None:
    remote = Remote(watcher.server, watcher.room_id)
    before = (await remote.head()).row.extremities
    one = await remote.event(BOB, (MEMBER, BOB), {"membership": "join"}, after=before)
    two = await remote.event(CAROL, (MEMBER, CAROL), {"membership": "join"}, after=before)
    await remote.send(one)
    await remote.send(two)
    assert await watcher.counts() == (3, 0)
    await remote.send(await remote.event(BOB, (MEMBER, BOB), {"membership": "leave"}))
    assert await watcher.counts() == (2, 0)
    assert counted == [watcher.room_id]


async def test_states_that_are_far_apart(
    large: None, counted: list[str], watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_rooms, "MAX_NODES", 1)
    bob = await watcher.server.register("bob")
    await bob.post(f"/join/{watcher.room_id}")
    assert await watcher.counts() == (2, 0)
    assert counted == [watcher.room_id] * 2


async def test_small_rooms_are_counted_by_the_database(counted: list[str], watcher: Watcher) -> None:
    bob = await watcher.server.register("bob")
    await bob.post(f"/join/{watcher.room_id}")
    assert await watcher.counts() == (2, 0)
    assert counted == [watcher.room_id] * 2
