"""Deleting rooms' histories: what is before the point is gone, what is needed is there."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from palpo.core import state_tree
from palpo.core.identifiers import RoomId
from palpo.core.records.jobs import Job, JobState
from palpo.core.state_tree import EMPTY_ROOT, child_hashes
from palpo.db.statements import Statement
from palpo.db.tables.rooms import event_relations, event_transactions, events, rooms, state_nodes
from palpo.db.tables.search import search_entries
from palpo.services.administration import history_purge
from palpo.services.administration.history_purge import Point
from palpo.storage import jobs
from palpo.workers.jobs import JobWorker
from tests.api.admin.test_room_deletion import CutShort, Killed
from tests.api.admin.test_rooms import ADMIN, get, make, say
from tests.support.homeserver import Client, Homeserver

STATUS = f"{ADMIN}/purge_history_status"


async def rows(server: Homeserver, statement: Statement) -> list[Any]:
    """All rows of a statement."""
    return list(await server.services.server.db.read(lambda tx: tx.all(statement)))


async def nodes_of_roots(server: Homeserver) -> tuple[set[bytes], set[bytes]]:
    """The nodes that are needed by what is stored, and those that are stored."""
    roots = {EMPTY_ROOT}
    for row in await rows(
        server, Statement(select(events.c.state_before, events.c.state_after, events.c.room_state))
    ):
        roots |= set(map(bytes, row))
    roots |= {bytes(row[0]) for row in await rows(server, Statement(select(rooms.c.state_root)))}
    stored = {
        bytes(row[0]): bytes(row[1])
        for row in await rows(server, Statement(select(state_nodes.c.hash, state_nodes.c.node)))
    }
    needed: set[bytes] = set()
    level = roots - {EMPTY_ROOT}
    while level:
        needed |= level
        level = {child for name in level for child in child_hashes(stored[name])} - needed
    return needed, set(stored)


async def purged(admin: Client, room_id: str, body: dict[str, Any], event_id: str = "") -> Any:
    """What became of a purge."""
    path = f"{ADMIN}/purge_history/{room_id}" + (f"/{event_id}" if event_id else "")
    purge_id = (await admin.request("POST", path, body))["purge_id"]
    async with asyncio.timeout(30):
        while True:
            status = await get(admin, f"{STATUS}/{purge_id}")
            if status["status"] != "active":
                return status
            await asyncio.sleep(0.01)


async def history(client: Client, room_id: str) -> list[str]:
    """The events that a user finds in a room, the newest first."""
    page = await client.get(f"/rooms/{room_id}/messages?dir=b&limit=200")
    return [event["event_id"] for event in page["chunk"]]


async def current(client: Client, room_id: str) -> list[Any]:
    """A room's state, without what is said beside its events."""
    found = await client.get(f"/rooms/{room_id}/state")
    return [{**event, "unsigned": None} for event in found]


async def fill(alice: Client, count: int = 40) -> tuple[str, list[str]]:
    """A room with messages, and changes of its state among them; the messages."""
    room_id = await make(alice, name="a")
    sent = []
    for number in range(count):
        sent.append(await say(alice, room_id, f"words {number}"))
        await alice.put(f"/rooms/{room_id}/state/m.room.topic", {"topic": str(number)})
        await alice.put(f"/rooms/{room_id}/state/x.y/{number % 7}", {"n": number})
    return room_id, sent


@pytest.mark.parametrize("batch", [7, 1000])
async def test_what_is_before_an_event_is_gone(
    server: Homeserver, admin: Client, alice: Client, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_purge, "BATCH", batch)
    room_id, sent = await fill(alice)
    other, _ = await fill(alice, 3)
    await alice.put(f"/rooms/{room_id}/redact/{sent[2]}/1", {})
    old_token = (await alice.get("/sync"))["next_batch"]
    await say(alice, room_id, "after")
    before = await history(alice, room_id)
    state = await current(alice, room_id)
    assert await purged(admin, room_id, {"delete_local_events": True}, sent[30]) == {"status": "complete"}
    after = await history(alice, room_id)
    assert after == before[: len(after)]
    assert after[-1] == sent[30]
    assert await current(alice, room_id) == state
    for event_id in sent[:30]:
        await alice.get(f"/rooms/{room_id}/event/{event_id}", status=404)
        await get(admin, f"{ADMIN}/fetch_event/{event_id}", status=404)
    needed, stored = await nodes_of_roots(server)
    assert stored == needed
    for table in (event_relations, event_transactions, search_entries):
        left = {row[0] for row in await rows(server, Statement(select(table.c.event_id)))}
        assert not left & set(sent[:30])
    assert len(await history(alice, other)) > 9
    synced = await alice.get(f"/sync?since={old_token}")
    assert [
        event["content"].get("body") for event in synced["rooms"]["join"][room_id]["timeline"]["events"]
    ] == ["after"]
    await say(alice, room_id, "later")
    bob = await server.register("bob")
    await alice.post(f"/rooms/{room_id}/invite", {"user_id": bob.user_id})
    await bob.post(f"/join/{room_id}", {})
    assert await history(bob, room_id)
    full = await alice.get("/sync?full_state=true")
    assert full["rooms"]["join"][room_id]["state"]["events"]


async def test_an_old_token_is_for_a_room_that_begins_later(
    server: Homeserver, admin: Client, alice: Client
) -> None:
    room_id, _ = await fill(alice, 3)
    token = (await alice.get("/sync"))["next_batch"]
    more = [await say(alice, room_id, str(number)) for number in range(30)]
    await alice.get(f"/sync?since={token}")
    assert (await purged(admin, room_id, {"delete_local_events": True}, more[-2]))["status"] == "complete"
    synced = (await alice.get(f"/sync?since={token}"))["rooms"]["join"][room_id]
    ids = [event["event_id"] for event in synced["timeline"]["events"]]
    assert ids == more[-2:]
    everything = await alice.get("/sync")
    assert everything["rooms"]["join"][room_id]["state"]["events"]


async def test_what_users_here_have_said_stays_unless_asked_for(admin: Client, alice: Client) -> None:
    room_id, sent = await fill(alice, 5)
    assert (await purged(admin, room_id, {"purge_up_to_event_id": sent[4]}))["status"] == "complete"
    found = await history(alice, room_id)
    assert [event for event in found if event in sent] == sent[::-1]
    assert len(found) < 10


async def test_up_to_a_time(server: Homeserver, admin: Client, alice: Client) -> None:
    room_id, _ = await fill(alice, 3)
    server.clock.advance(60)
    last = await say(alice, room_id, "x")
    now = server.clock.now_ms()
    assert (await purged(admin, room_id, {"purge_up_to_ts": now, "delete_local_events": True}))[
        "status"
    ] == "complete"
    assert await history(alice, room_id) == [last]
    body = {"purge_up_to_ts": now + 10_000, "delete_local_events": True}
    assert (await purged(admin, room_id, body))["status"] == "complete"
    assert await history(alice, room_id) == [last]


async def test_what_is_refused(admin: Client, alice: Client) -> None:
    room_id, sent = await fill(alice, 1)
    path = f"{ADMIN}/purge_history"
    await admin.request("POST", f"{path}/{room_id}", {}, status=400)
    await admin.request("POST", f"{path}/{room_id}", {"purge_up_to_ts": 1}, status=404)
    await admin.request("POST", f"{path}/{room_id}/$nothing", {}, status=404)
    await admin.request("POST", f"{path}/!nothing:test.example", {"purge_up_to_ts": 1}, status=404)
    await alice.request("POST", f"{path}/{room_id}/{sent[0]}", {}, status=403)
    await get(admin, f"{STATUS}/nothing", status=404)


async def test_it_goes_on_wherever_it_is_cut_short_while_others_write(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_purge, "BATCH", 5)

    async def nothing(worker: JobWorker) -> list[Job]:
        return []

    monkeypatch.setattr(JobWorker, "_due", nothing)
    room_id, sent = await fill(alice, 20)
    purge, services = server.services.administration.history_purge, server.services.server
    before = await purge.before_event(RoomId(room_id), sent[15])
    job = await purge.start(RoomId(room_id), Point(before=before, local_too=True), by="@admin:test.example")
    await services.db.write(partial(jobs.move, job_id=job.job_id, to=JobState.ACTIVE, now_ms=0))
    for number in range(500):
        step = Killed(services.db, services.clock, await services.jobs.get(job.job_id))
        step.left = 1
        await alice.put(f"/rooms/{room_id}/state/x.y/{number % 7}", {"again": number})
        try:
            await purge.run(step)
        except CutShort:
            continue
        break
    assert number > 4
    assert (await history(alice, room_id))[-1] == sent[15]
    needed, stored = await nodes_of_roots(server)
    assert stored == needed
    root = (await server.services.history.room_heads.get(room_id)).state_root
    assert await server.services.history.events.read_state(state_tree.count(root)) == len(
        await alice.get(f"/rooms/{room_id}/state")
    )
