"""Messages that are too old: shown to nobody, and then deleted (MSC1763)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palpo.core.identifiers import RoomId
from palpo.services.history.retention import DAY_MS
from tests.api.admin.test_history_purge import history
from tests.api.admin.test_rooms import make, say
from tests.support.homeserver import Client, Homeserver, homeserver


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Homeserver]:
    policy = {"enabled": True, "default_days": 30, "min_days": 1, "max_days": 100}
    async with homeserver(tmp_path, admins=["@admin:test.example"], retention=policy) as running:
        yield running


async def keeping(client: Client, days: float) -> str:
    """A room that says how long messages are kept."""
    content = {"max_lifetime": round(days * DAY_MS)}
    return await make(
        client, initial_state=[{"type": "m.room.retention", "state_key": "", "content": content}]
    )


async def swept(server: Homeserver) -> int:
    """How many rooms a sweep has found something in, once it is deleted."""
    services = server.services
    count = len(await services.administration.retention_sweep.begin(by=""))
    async with asyncio.timeout(30):
        for job in await services.server.jobs.find(kind="purge_history"):
            while not job.state.ended:
                job = await services.server.jobs.follow(job)
            assert not job.error
    return count


async def stored(server: Homeserver, event_ids: list[str]) -> dict[str, bytes]:
    """Those of the events that are stored, as JSON."""
    return await server.services.history.events.pdus(event_ids)


async def test_what_is_too_old_is_shown_to_nobody_and_deleted(server: Homeserver, alice: Client) -> None:
    room_id = await keeping(alice, 7)
    old = [await say(alice, room_id, f"old {number}") for number in range(3)]
    server.clock.advance(8 * DAY_MS)
    new = await say(alice, room_id, "new")
    shown = await history(alice, room_id)
    assert new in shown
    assert not set(old) & set(shown)
    await alice.get(f"/rooms/{room_id}/event/{old[0]}", status=404)
    synced = (await alice.get("/sync"))["rooms"]["join"][room_id]["timeline"]["events"]
    assert not set(old) & {event["event_id"] for event in synced}
    assert set(await stored(server, old)) == set(old)
    assert await swept(server) == 1
    assert await stored(server, old) == {}
    assert await swept(server) == 0
    assert new in await history(alice, room_id)
    await say(alice, room_id, "and on")


async def test_the_last_message_goes_too(server: Homeserver, alice: Client) -> None:
    room_id = await keeping(alice, 7)
    last = await say(alice, room_id, "secret words")
    server.clock.advance(8 * DAY_MS)
    assert last not in await history(alice, room_id)
    assert await swept(server) == 1
    assert b"secret" not in (await stored(server, [last]))[last]
    assert last not in await history(alice, room_id)
    assert await swept(server) == 0
    token = (await alice.get("/sync"))["next_batch"]
    new = await say(alice, room_id, "new")
    synced = (await alice.get(f"/sync?since={token}"))["rooms"]["join"][room_id]
    assert [event["event_id"] for event in synced["timeline"]["events"]] == [new]


async def test_what_a_room_says_is_kept_within_bounds(server: Homeserver, alice: Client) -> None:
    retention, heads = server.services.history.retention, server.services.history.room_heads
    now = server.clock.now_ms()
    for wanted, days in ((7.0, 7), (0.0, 1), (1000.0, 100)):
        head = await heads.get(RoomId(await keeping(alice, wanted)))
        assert await retention.cutoff(head) == now - days * DAY_MS
    head = await heads.get(RoomId(await make(alice)))
    assert await retention.cutoff(head) == now - 30 * DAY_MS


async def test_a_server_that_keeps_everything(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        room_id = await keeping(alice, 1)
        old = await say(alice, room_id, "old")
        server.clock.advance(10 * DAY_MS)
        assert old in await history(alice, room_id)
