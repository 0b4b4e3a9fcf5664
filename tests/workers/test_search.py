"""The search index follows the rooms by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.core.search_terms import SearchTerm
from palpo.core.search_text import KEY_OF_TYPE, room_token
from palpo.db import consumers
from palpo.db.transaction import Transaction
from palpo.services.reading.search_index import BATCH, SearchIndex
from palpo.storage import search as storage
from palpo.storage.search import Wanted
from tests.support.homeserver import Homeserver, homeserver


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    async with homeserver(tmp_path) as server:
        yield server


async def indexed(server: Homeserver, room_id: str, term: str) -> list[str]:
    """What the index has, as it is."""
    wanted = Wanted(groups=SearchTerm(term).groups, keys=list(KEY_OF_TYPE.values()), before=2**62)

    async def read(tx: Transaction) -> list[tuple[int, str]]:
        scopes = [room_token(room_id)]
        return await storage.newest(tx, wanted, rooms=[room_id], scopes=scopes, limit=1000)

    return [event_id for _, event_id in await server.services.server.db.read(read)]


async def eventually(server: Homeserver, room_id: str, term: str, expected: list[str]) -> None:
    for _ in range(500):
        found = await indexed(server, room_id, term)
        if found == expected:
            return
        await asyncio.sleep(0.02)
    assert found == expected


async def test_messages_come_and_go(server: Homeserver) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    first = await alice.send(room_id, "tea")
    second = await alice.send(room_id, "more tea")
    await eventually(server, room_id, "tea", [second, first])

    await alice.put(f"/rooms/{room_id}/redact/{first}/{alice.transaction_id()}")

    await eventually(server, room_id, "tea", [second])


async def test_several_processes_index_everything_once(server: Homeserver) -> None:
    alice = await server.register("alice")
    room_id = await alice.create_room()
    sent = [await alice.send(room_id, f"tea {number}") for number in range(BATCH * 2)]
    services = server.services
    db, wakeups, events = services.server.db, services.server.wakeups, services.history.events
    others = [SearchIndex(db, wakeups, events, services.reading.user_directory) for _ in range(4)]

    await asyncio.gather(*(index.consumer.catch_up(batches=10) for index in others))

    assert await indexed(server, room_id, "tea") == sent[::-1]
    position = await services.server.db.read(lambda tx: consumers.position_of(tx, "search"))
    assert position == services.server.wakeups.position
