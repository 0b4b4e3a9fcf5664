"""The newest events of a room, from memory: what the database says, whoever wrote them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from palpo.services.history.recent_events import RecentEvents
from palpo.storage import events as storage
from palpo.streams.polling import read_position
from tests.services.history.test_room_writer import create, message
from tests.support.homeserver import Homeserver, homeserver


async def check(recent: RecentEvents, server: Homeserver, room_id: str) -> None:
    """Compare every window of the room that this process may ask for with the database."""
    db = server.services.server.db
    visible = server.services.server.wakeups.position
    for after in range(0, visible + 1, 3):
        for upto in range(after, visible + 1, 2):
            for limit in (1, 4, 50):
                expected = await db.read(
                    lambda tx, window=(after, upto, limit): storage.latest_ids(
                        tx, room_id, after=window[0], upto=window[1], limit=window[2]
                    )
                )
                assert await recent.latest_ids(room_id, after=after, upto=upto, limit=limit) == expected


async def test_two_processes_and_a_short_ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with homeserver(tmp_path) as one, homeserver(tmp_path) as two:
        room_id = await create(one)
        recents = [server.services.history.recent_events for server in (one, two)]
        for recent in recents:
            monkeypatch.setattr(recent, "_length", 5)
        for number in range(14):
            writer = (one, two)[number % 3 == 2].services.history.room_writer
            await writer.send(room_id, message(str(number)))
            await check(recents[0], one, room_id)
        newest = await one.services.server.db.read(read_position)
        async with asyncio.timeout(10):
            while min(server.services.server.wakeups.position for server in (one, two)) < newest:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await check(recents[0], one, room_id)
        await check(recents[1], two, room_id)
        assert await recents[0].last_id(room_id, 0) is None
