"""Long work that administrators begin: it goes on where it was, whatever is killed between.

    job = await jobs.start("purge_history", target=room_id, params={…}, requested_by=user_id)

Whoever does the work has a handler of the kind (``app/composition/job_handlers.py``). It is given a ``Step``:
the job with its last checkpoint, and the means to store the next one, in the transaction of what it tells of.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from palpo.core.bounds import TOP
from palpo.core.errors import Conflict, MatrixError, NotFound
from palpo.core.records.jobs import Job, JobState, Json
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction, WriteUnit
from palpo.storage import jobs as storage
from palpo.streams import topics
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

T = TypeVar("T")

MAX_OPEN = 1000
"""Jobs that have not ended."""


class Cancelled(MatrixError):
    """Somebody has cancelled the job: nothing more of it is done."""

    status = 409


class Paused(MatrixError):
    """Background updates are paused: the job goes on when they do."""

    status = 409


@dataclass(slots=True)
class Step:
    """What a handler is given: the job, and how to store how far it is."""

    _db: Database
    _clock: Clock
    job: Job

    async def save(self, checkpoint: Json, **progress: object) -> None:
        """Go on from here after whatever happens; raises Cancelled."""
        await self.write(_nothing, checkpoint, **progress)

    async def write(self, unit: WriteUnit[T], checkpoint: Json, **progress: object) -> T:
        """Run a unit of work, and store with it that it is done; raises Cancelled, and then it is not."""
        return await self.write_counting(unit, checkpoint, lambda _: progress)

    async def write_counting(
        self, unit: WriteUnit[T], checkpoint: Json, progress: Callable[[T], dict[str, object]]
    ) -> T:
        """The same, where what it has done is known only then: ``progress`` says it, of the unit's result."""

        async def both(tx: WriteTransaction) -> tuple[T, dict[str, object]]:
            result = await unit(tx)
            told = progress(result)
            saved = await storage.save(
                tx, self.job.job_id, checkpoint=checkpoint, progress=told, now_ms=self._clock.now_ms()
            )
            if not saved:
                raise Cancelled("The job has been cancelled")
            return result, told

        result, told = await self._db.write(both)
        self.job = replace(self.job, checkpoint=checkpoint, progress=told)
        return result


Handler = Callable[[Step], Awaitable[Json | None]]
"""Does the work from ``step.job.checkpoint`` on, and returns what is to be told of it. Raises MatrixError
where it cannot be done; what the database raises is tried again later."""
Handlers = Mapping[str, Handler]


class Jobs:
    """Begins jobs, ends them, and says how far they are."""

    def __init__(self, db: Database, clock: Clock, wakeups: Wakeups, *, random_id: Callable[[], str]) -> None:
        self._db = db
        self._clock = clock
        self._wakeups = wakeups
        self._random_id = random_id

    async def start(
        self, kind: str, *, requested_by: str, target: str = "", params: Json | None = None
    ) -> Job:
        """Have something done soon.

        Raises Conflict where the same is being done to the same target, or too much is.
        """
        now = self._clock.now_ms()
        job = Job(
            job_id=self._random_id(),
            kind=kind,
            target=target,
            params=params or {},
            requested_by=requested_by,
            state=JobState.SCHEDULED,
            checkpoint=None,
            progress={},
            result=None,
            error="",
            created_ts=now,
            changed_ts=now,
        )

        async def unit(tx: WriteTransaction) -> None:
            others = await storage.open_jobs(tx, MAX_OPEN)
            if any((other.kind, other.target) == (kind, target) for other in others):
                raise Conflict(f"{kind} of {target or 'this server'} is under way already")
            if len(others) >= MAX_OPEN:
                raise Conflict("Too many jobs are under way")
            await storage.insert(tx, job)

        await self._db.write(unit)
        return job

    async def get(self, job_id: str) -> Job:
        """A job; raises NotFound."""
        found = await self._db.read(lambda tx: storage.find(tx, job_id))
        if found is None:
            raise NotFound("There is no such job")
        return found

    async def find(
        self,
        *,
        kind: str | None = None,
        target: str | None = None,
        state: JobState | None = None,
        before_ts: int = TOP,
        limit: int = 1000,
    ) -> list[Job]:
        """Jobs, the newest first: those of a kind, of a target, in a state; what is None may be any."""

        async def unit(tx: Transaction) -> list[Job]:
            if target is not None:
                return (await storage.of_target(tx, target))[::-1]
            return await storage.newest(tx, before_ts=before_ts, limit=limit)

        found = await self._db.read(unit)
        return [
            job
            for job in found
            if (kind is None or job.kind == kind)
            and (state is None or job.state is state)
            and job.created_ts < before_ts
        ]

    async def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return await self._db.read(storage.counts)

    async def cancel(self, job_id: str) -> Job:
        """End a job after the step that it is at; raises NotFound, Conflict where it has ended."""
        job = await self.get(job_id)
        move = partial(storage.move, job_id=job_id, to=JobState.CANCELLED, now_ms=self._clock.now_ms())
        if job.state.ended or not await self._db.write(move):
            raise Conflict("The job has ended already")
        return await self.get(job_id)

    async def follow(self, job: Job, *, timeout_s: float = 30.0) -> Job:
        """The same job once it is further, or after ``timeout_s``."""
        position = self._wakeups.position
        now = await self.get(job.job_id)
        if now != job or now.state.ended:
            return now
        topic = {topics.JOB_PROGRESS: {job.job_id}}
        await self._wakeups.wait(topic, after=position, timeout_s=timeout_s)
        return await self.get(job.job_id)


async def _nothing(tx: WriteTransaction) -> None:
    return None
