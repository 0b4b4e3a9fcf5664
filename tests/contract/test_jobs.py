"""Long work: begun, done in steps, ended; and gone on with by another process. On each database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from palpo.core.errors import BadRequest, Conflict, NotFound
from palpo.core.records.jobs import Job, JobState, Json
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError, Unreachable
from palpo.db.leases import Lease
from palpo.services.server.jobs import Handler, Jobs, Step
from palpo.storage import jobs as storage
from palpo.streams.clock import FakeClock
from palpo.streams.wakeups import Wakeups
from palpo.workers.jobs import JobWorker

LEASE = Lease(name="jobs", holder="test", fence=1, until_ms=0)
BY = "@admin:a"


class Process:
    """One process: its jobs, and its worker."""

    def __init__(self, database: Database, **handlers: Handler) -> None:
        clock, self.wakeups = FakeClock(), Wakeups()
        database.listen(self.wakeups.on_commit)
        number = iter(range(10_000))
        self.clock = clock
        self.jobs = Jobs(database, clock, self.wakeups, random_id=lambda: f"job{next(number)}")
        self.worker = JobWorker(database, clock, self.wakeups, handlers, pause_s=0)

    async def until(self, job: Job, is_so: Callable[[Job], bool]) -> Job:
        """Work until the job is so."""
        task = asyncio.get_running_loop().create_task(self.worker.run(LEASE))
        try:
            async with asyncio.timeout(30):
                while not is_so(job):
                    job = await self.jobs.follow(job, timeout_s=0.2)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return job

    async def end_of(self, job: Job) -> Job:
        return await self.until(job, lambda job: job.state.ended)


async def count_to(step: Step) -> Json | None:
    """Counts up to ``params["to"]``, a step each."""
    at = 0 if step.job.checkpoint is None else step.job.checkpoint["at"]
    while at < step.job.params["to"]:
        at += 1
        await step.save({"at": at}, done=at, of=step.job.params["to"])
    return {"counted": at}


async def test_from_beginning_to_end(database: Database) -> None:
    process = Process(database, count=count_to)
    job = await process.jobs.start("count", requested_by=BY, target="!r:a", params={"to": 3})
    assert (job.state, job.progress, job.checkpoint) == (JobState.SCHEDULED, {}, None)
    job = await process.end_of(job)
    assert (job.state, job.result, job.progress) == (JobState.COMPLETE, {"counted": 3}, {"done": 3, "of": 3})
    assert await process.jobs.find(kind="count", target="!r:a", state=JobState.COMPLETE) == [job]
    assert await process.jobs.find(kind="other") == []
    assert await process.jobs.counts() == {"complete": 1}


async def test_another_process_goes_on(database: Database) -> None:
    begun_at: list[int] = []

    async def halting(step: Step) -> Json | None:
        begun_at.append(0 if step.job.checkpoint is None else step.job.checkpoint["at"])
        if len(begun_at) == 1:
            await step.save({"at": 2}, done=2)
            await asyncio.Event().wait()
        return await count_to(step)

    first = Process(database, count=halting)
    job = await first.jobs.start("count", requested_by=BY, params={"to": 5})
    job = await first.until(job, lambda job: job.checkpoint == {"at": 2})
    second = Process(database, count=halting)
    job = await second.end_of(job)
    assert (job.state, job.result) == (JobState.COMPLETE, {"counted": 5})
    assert begun_at == [0, 2]


async def test_what_is_written_with_a_step_is_written_once(database: Database) -> None:
    """A unit of work and its checkpoint are one transaction: neither is there without the other."""
    tries = 0

    async def failing(step: Step) -> Json | None:
        nonlocal tries
        tries += 1

        async def unit(tx: object) -> None:
            if tries == 1:
                raise DatabaseError("not this time")

        if step.job.checkpoint is None:
            await step.write(unit, {"at": 1})
        return {"tries": tries}

    process = Process(database, count=failing)
    job = await process.end_of(await process.jobs.start("count", requested_by=BY))
    assert (job.state, job.checkpoint, job.result) == (JobState.COMPLETE, {"at": 1}, {"tries": 2})


async def test_what_cannot_be_done(database: Database) -> None:
    async def refused(step: Step) -> Json | None:
        raise BadRequest("that cannot be")

    async def broken(step: Step) -> Json | None:
        raise ValueError("a mistake of ours")

    async def unlucky(step: Step) -> Json | None:
        raise DatabaseError("never")

    process = Process(database, refused=refused, broken=broken, unlucky=unlucky)
    errors = {}
    for kind in ("refused", "broken", "unlucky", "unknown"):
        job = await process.end_of(await process.jobs.start(kind, requested_by=BY))
        assert job.state is JobState.FAILED
        errors[kind] = job.error
    assert errors == {
        "refused": "that cannot be",
        "broken": "ValueError: a mistake of ours",
        "unlucky": "never",
        "unknown": "Nothing here does unknown",
    }


async def test_a_database_that_is_away_is_waited_for(database: Database) -> None:
    tries = 0

    async def away(step: Step) -> Json | None:
        nonlocal tries
        tries += 1
        if tries < 20:
            raise Unreachable("it is away")
        return None

    process = Process(database, away=away)
    job = await process.end_of(await process.jobs.start("away", requested_by=BY))
    assert (job.state, tries) == (JobState.COMPLETE, 20)


async def test_cancelling(database: Database) -> None:
    async def endless(step: Step) -> Json | None:
        at = 0
        while True:
            at += 1
            await step.save({"at": at})

    process = Process(database, endless=endless)
    waits = await process.jobs.start("endless", requested_by=BY, target="a")
    assert (await process.jobs.cancel(waits.job_id)).state is JobState.CANCELLED
    runs = await process.jobs.start("endless", requested_by=BY, target="a")
    runs = await process.until(runs, lambda job: job.checkpoint is not None)
    await process.jobs.cancel(runs.job_id)
    runs = await process.end_of(runs)
    assert runs.state is JobState.CANCELLED
    with pytest.raises(Conflict):
        await process.jobs.cancel(runs.job_id)
    with pytest.raises(NotFound):
        await process.jobs.cancel("nothing")


async def test_the_same_is_not_begun_twice(database: Database) -> None:
    process = Process(database)
    await process.jobs.start("count", requested_by=BY, target="a")
    await process.jobs.start("count", requested_by=BY, target="b")
    await process.jobs.start("other", requested_by=BY, target="a")
    with pytest.raises(Conflict):
        await process.jobs.start("count", requested_by=BY, target="a")


async def test_one_at_a_time_for_a_target(database: Database) -> None:
    at_once: list[int] = []
    under_way = 0

    async def watched(step: Step) -> Json | None:
        nonlocal under_way
        under_way += 1
        at_once.append(under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return None

    process = Process(database, first=watched, second=watched)
    jobs = [await process.jobs.start(kind, requested_by=BY, target="a") for kind in ("first", "second")]
    for job in jobs:
        await process.end_of(job)
    assert at_once == [1, 1]


async def test_what_has_ended_is_forgotten(database: Database) -> None:
    process = Process(database, count=count_to)
    done = await process.end_of(await process.jobs.start("count", requested_by=BY, params={"to": 0}))
    waits = await process.jobs.start("count", requested_by=BY, params={"to": 0})
    later = process.clock.now_ms() + 1
    assert await database.write(lambda tx: storage.forget(tx, before_ts=later, limit=9)) == 1
    assert await process.jobs.find() == [waits]
    with pytest.raises(NotFound):
        await process.jobs.get(done.job_id)
