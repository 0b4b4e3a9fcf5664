"""Nodes that no state has are set aside, and deleted later; what turns out to be needed is put back."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from palpo.core.records.jobs import Job, JobState
from palpo.core.state_tree import build
from palpo.services.administration import state_sweep
from palpo.services.administration.state_sweep import ASIDE_MS, KIND, PERIOD_MS
from palpo.services.history.event_store import EventStore
from palpo.storage import jobs, orphaned_nodes, state
from palpo.workers.jobs import JobWorker
from tests.api.admin.test_history_purge import current, fill, nodes_of_roots
from tests.api.admin.test_room_deletion import CutShort, Killed
from tests.support.homeserver import Client, Homeserver, homeserver


async def swept(server: Homeserver) -> dict[str, int]:
    """What a sweep has done."""
    services = server.services
    await services.administration.state_sweep.begin(by="")
    job = (await services.server.jobs.find(kind=KIND))[0]
    async with asyncio.timeout(60):
        while not job.state.ended:
            job = await services.server.jobs.follow(job)
    assert job.state is JobState.COMPLETE, job.error
    assert job.result is not None
    return job.result


async def orphans(server: Homeserver) -> dict[bytes, bytes]:
    """Nodes that are left of a join that failed."""
    made = build({("m.room.member", f"@{number}:b.example"): f"${number}" for number in range(500)}).new_nodes
    await server.services.server.db.write(partial(state.insert_nodes, nodes=made))
    return made


async def test_what_no_state_has_is_deleted_a_day_later(server: Homeserver, alice: Client) -> None:
    room_id, _ = await fill(alice)
    before, state_before = await nodes_of_roots(server), await current(alice, room_id)
    assert before[0] == before[1]
    left = await orphans(server)
    count = len(left)
    assert await swept(server) == {"set_aside": count, "deleted": 0, "put_back": 0}
    assert await nodes_of_roots(server) == before
    load = partial(state.load_nodes, hashes=left)
    assert await server.services.server.db.read(load) == left
    server.clock.advance(ASIDE_MS - 1)
    assert await swept(server) == {"set_aside": 0, "deleted": 0, "put_back": 0}
    server.clock.advance(1)
    assert await swept(server) == {"set_aside": 0, "deleted": count, "put_back": 0}
    assert await server.services.server.db.read(load) == {}
    assert await nodes_of_roots(server) == before
    assert await current(alice, room_id) == state_before


async def test_what_is_needed_after_all_is_read_and_put_back(tmp_path: Path) -> None:
    async with homeserver(tmp_path) as server:
        alice = await server.register("alice")
        room_id, sent = await fill(alice)
        needed, _ = await nodes_of_roots(server)
        state_before = await current(alice, room_id)
        aside = partial(orphaned_nodes.set_aside, hashes=list(needed), now_ms=server.clock.now_ms())
        await server.services.server.db.write(aside)
        assert await nodes_of_stored(server) == set()
    async with homeserver(tmp_path) as server:  # It has nothing in memory.
        alice = await server.login("alice")
        assert await current(alice, room_id) == state_before
        await alice.get(f"/rooms/{room_id}/context/{sent[0]}")
        server.clock.advance(2 * ASIDE_MS)
        await alice.put(f"/rooms/{room_id}/state/m.room.topic", {"topic": "and on"})
        result = await swept(server)
        assert result["put_back"] >= len(needed) - 5
        assert result["deleted"] <= 5, "what the change has written again"
        after = await nodes_of_roots(server)
        assert after[0] == after[1] > needed


async def nodes_of_stored(server: Homeserver) -> set[bytes]:
    read = partial(orphaned_nodes.nodes_after, after=b"", limit=10_000)
    return set(await server.services.server.db.read(read))


async def test_a_sweep_goes_on_wherever_it_is_cut_short(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_due(_: JobWorker) -> list[Job]:
        return []

    monkeypatch.setattr(JobWorker, "_due", none_due)
    monkeypatch.setattr(state_sweep, "BATCH", 20)
    await fill(alice, 10)
    before = await nodes_of_roots(server)
    count, services = len(await orphans(server)), server.services.server
    sweep = server.services.administration.state_sweep
    for expected in ({"set_aside": count, "deleted": 0}, {"set_aside": 0, "deleted": count}):
        await sweep.begin(by="")
        job = (await services.jobs.find(kind=KIND))[0]
        move = partial(jobs.move, job_id=job.job_id, to=JobState.ACTIVE, now_ms=1)
        await services.db.write(move)
        cuts = 0
        while True:
            step = Killed(services.db, services.clock, await services.jobs.get(job.job_id))
            step.left = 1
            try:
                assert await sweep.run(step) == {**expected, "put_back": 0}
                break
            except CutShort:
                cuts += 1
        assert cuts > 3
        await services.db.write(partial(jobs.move, job_id=job.job_id, to=JobState.COMPLETE, now_ms=1))
        server.clock.advance(ASIDE_MS)
    assert await nodes_of_roots(server) == before


async def test_a_room_whose_history_is_deleted_meanwhile_is_looked_at_again(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(alice, 3)
    before = await nodes_of_roots(server)
    read, failures = EventStore.read_state, iter(range(3))

    async def failing(self: EventStore, *args: object) -> object:
        if next(failures, None) is not None:
            raise KeyError("gone")
        return await read(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(EventStore, "read_state", failing)
    assert (await swept(server))["set_aside"] == 0
    assert await nodes_of_roots(server) == before


async def test_it_is_done_once_a_week_and_a_day_after_something_was_set_aside(
    server: Homeserver, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep, found = server.services.administration.state_sweep, server.services.server.jobs

    async def begun() -> int:
        await sweep.begin_if_due()
        for job in await found.find(kind=KIND):
            while not job.state.ended:
                job = await found.follow(job)
        return len(await found.find(kind=KIND))

    assert [await begun(), await begun()] == [1, 1]
    server.clock.advance(ASIDE_MS + 1)
    assert await begun() == 1
    await orphans(server)
    server.clock.advance(PERIOD_MS)
    assert await begun() == 2
    server.clock.advance(ASIDE_MS + 1)
    assert [await begun(), await begun()] == [3, 3]
