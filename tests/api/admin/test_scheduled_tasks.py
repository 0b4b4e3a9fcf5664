"""Long work, for administrators."""

from __future__ import annotations

from tests.support.homeserver import Client, Homeserver

TASKS = "//_synapse/admin/v1/scheduled_tasks"


async def test_the_list(server: Homeserver, admin: Client) -> None:
    jobs = server.services.server.jobs
    job = await jobs.start("nobody_does_this", requested_by=admin.user_id, target="!r:test.example")
    while not job.state.ended:
        job = await jobs.follow(job)
    task = {
        "id": job.job_id,
        "action": "nobody_does_this",
        "status": "failed",
        "timestamp_ms": job.changed_ts,
        "resource_id": "!r:test.example",
        "result": None,
        "error": "Nothing here does nobody_does_this",
    }
    assert await admin.request("GET", TASKS) == {"scheduled_tasks": [task]}

    async def number(query: str) -> int:
        return len((await admin.request("GET", f"{TASKS}?{query}"))["scheduled_tasks"])

    assert await number("status=failed&action_name=nobody_does_this&resource_id=!r:test.example") == 1
    assert await number("status=complete") == 0
    assert await number("job_status=failed") == 1
    assert await number("job_status=active") == 0
    assert await number("action_name=&resource_id=") == 1
    assert await number("action_name=other") == 0
    assert await number("resource_id=other") == 0
    assert await number(f"max_timestamp={job.changed_ts}") == 0
    await admin.request("GET", f"{TASKS}?status=lost", status=400)
    await admin.request("GET", f"{TASKS}?job_status=lost", status=400)
