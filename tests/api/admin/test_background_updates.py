"""What the server brings up to date of its own accord, for administrators."""

from __future__ import annotations

import asyncio
from typing import Any

from palpo.core.records.jobs import Job, JobState
from palpo.db.leases import Lease
from palpo.workers.room_summaries import RoomSummaryWorker
from tests.support.homeserver import Client, Homeserver

UPDATES = "//_synapse/admin/v1/background_updates"
ROOMS = {"job_name": "populate_stats_process_rooms"}


async def status(admin: Client) -> Any:
    return await admin.request("GET", f"{UPDATES}/status")


async def enable(admin: Client, enabled: bool) -> None:
    body = {"enabled": enabled}
    assert await admin.request("POST", f"{UPDATES}/enabled", body) == body


async def ended(server: Homeserver, kind: str) -> Job:
    """The one job of a kind, once it has ended."""
    jobs = server.services.server.jobs
    (job,) = await jobs.find(kind=kind)
    while not job.state.ended:
        job = await jobs.follow(job)
    return job


async def test_paused_and_let_go_on(server: Homeserver, admin: Client, alice: Client) -> None:
    for _ in range(2):
        await alice.post("/createRoom", {})
    assert await status(admin) == {"enabled": True, "current_updates": {}}
    await enable(admin, False)
    assert await admin.request("GET", f"{UPDATES}/enabled") == {"enabled": False}
    await admin.request("POST", f"{UPDATES}/start_job", ROOMS)
    await admin.request("POST", f"{UPDATES}/start_job", ROOMS, status=400)
    await admin.request("POST", f"{UPDATES}/start_job", {"job_name": "regenerate_directory"})
    update = {"total_item_count": 0, "total_duration_ms": 0.0, "average_items_per_ms": None}
    assert await status(admin) == {
        "enabled": False,
        "current_updates": {
            "master": {"name": "room_summaries", **update},
            "user_directory": {"name": "user_directory", **update},
        },
    }
    # What an administrator has begun with one thing does not wait: that it ends shows that these were passed.
    other = await server.services.server.jobs.start("nobody_does_this", requested_by=admin.user_id)
    while not other.state.ended:
        other = await server.services.server.jobs.follow(other)
    assert len((await status(admin))["current_updates"]) == 2
    await enable(admin, True)
    rooms, users = await ended(server, "room_summaries"), await ended(server, "user_directory")
    assert (rooms.state, rooms.result) == (JobState.COMPLETE, {"items": 2})
    assert (users.state, users.result) == (JobState.COMPLETE, {"items": 2})
    assert await status(admin) == {"enabled": True, "current_updates": {}}


async def test_a_job_that_is_under_way_goes_on_where_it_was(server: Homeserver, admin: Client) -> None:
    updates, jobs = server.services.administration.background_updates, server.services.server.jobs
    await updates.set_enabled(False)
    job = await updates.start("user_directory", by=admin.user_id)
    await updates.set_enabled(True)
    assert (await ended(server, "user_directory")).job_id == job.job_id
    checkpoint = (await jobs.get(job.job_id)).checkpoint
    assert checkpoint is not None
    assert (checkpoint["after"], checkpoint["items"]) == (admin.user_id, 1)


async def test_work_is_cancelled_while_they_are_paused(server: Homeserver) -> None:
    updates = server.services.server.background_updates
    begun, cancelled = asyncio.Semaphore(0), asyncio.Semaphore(0)

    async def work(lease: Lease) -> None:
        begun.release()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.release()

    task = asyncio.ensure_future(
        updates.while_enabled(work)(Lease(name="work", holder="me", fence=0, until_ms=1))
    )
    for _ in range(2):
        await begun.acquire()
        await updates.set_enabled(False)
        await cancelled.acquire()
        assert begun.locked()
        await updates.set_enabled(True)
    await begun.acquire()
    task.cancel()
    await cancelled.acquire()
    assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)


async def test_what_is_refused(admin: Client, alice: Client) -> None:
    await admin.request("POST", f"{UPDATES}/start_job", {"job_name": "tidy_up"}, status=400)
    await admin.request("POST", f"{UPDATES}/enabled", {"enabled": "yes"}, status=400)
    for path in ("status", "enabled"):
        await alice.request("GET", f"{UPDATES}/{path}", status=403)
    await alice.request("POST", f"{UPDATES}/enabled", {"enabled": False}, status=403)
    await alice.request("POST", f"{UPDATES}/start_job", ROOMS, status=403)


async def test_rooms_that_have_changed_are_looked_into(server: Homeserver, alice: Client) -> None:
    rooms = server.services.administration.room_lists
    worker = RoomSummaryWorker(rooms)
    room_id = (await alice.post("/createRoom", {"name": "old"}))["room_id"]
    await alice.post("/createRoom", {})
    assert await worker.sweep() == 2
    await alice.put(f"/rooms/{room_id}/state/m.room.name", {"name": "new"})
    assert await worker.sweep() == 1
    assert await worker.sweep() == 0
