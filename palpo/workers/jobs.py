"""Does the long work that administrators have begun, a few jobs at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Set
from functools import partial

import structlog

from palpo.core.errors import MatrixError
from palpo.core.records.jobs import Job, JobState, Json
from palpo.db.engine import Database
from palpo.db.errors import AWAY, DatabaseError
from palpo.db.leases import Lease
from palpo.services.server.jobs import MAX_OPEN, Cancelled, Handlers, Paused, Step
from palpo.storage import jobs as storage
from palpo.streams import topics
from palpo.streams.clock import Clock
from palpo.streams.task_group import task_group
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.jobs")

AT_ONCE = 2
LOOK_S = 30.0
"""How often is looked without news."""
ATTEMPTS = 5
"""How often it may go on after a failure of the database's or the disk's; then the job has failed."""
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""After the first failure; twice as long after each further one."""


class JobWorker:
    """Follows the jobs; one process at a time has the lease.

    Two jobs that are about the same are never done at the same time.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        handlers: Handlers,
        *,
        held_back: Callable[[], Awaitable[Collection[str]]] | None = None,
        pause_s: float = PAUSE_S,
    ) -> None:
        """``held_back`` says which kinds have to wait until ``topics.BACKGROUND_UPDATES`` has news."""
        self._db = db
        self._clock = clock
        self._handlers = handlers
        self._held_back = held_back
        self._pause_s = pause_s
        self._news = asyncio.Event()
        self._running: set[str] = set()
        self._targets: set[str] = set()
        wakeups.listen(topics.JOBS, self._on_news)
        wakeups.listen(topics.BACKGROUND_UPDATES, self._on_news)

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled: what is under way then goes on where it was, here or elsewhere."""
        self._running.clear()
        self._targets.clear()
        async with task_group() as group:
            while True:
                self._news.clear()
                for job in await self._due():
                    self._running.add(job.job_id)
                    self._targets.add(job.target)
                    group.create_task(self._carry_out(job), name=f"job-{job.kind}")
                try:
                    async with asyncio.timeout(LOOK_S):
                        await self._news.wait()
                except TimeoutError:
                    continue

    def _on_news(self, _keys: Set[str] | None, _position: int) -> None:
        self._news.set()

    async def _due(self) -> list[Job]:
        try:
            found = await self._db.read(lambda tx: storage.open_jobs(tx, MAX_OPEN))
            waiting = await self._held_back() if found and self._held_back is not None else ()
        except DatabaseError as error:
            log.warning("jobs_failed", error=str(error))
            return []
        due: list[Job] = []
        targets = set(self._targets)
        for job in found:
            if len(self._running) + len(due) >= AT_ONCE:
                break
            if job.kind in waiting:
                continue
            if job.job_id not in self._running and (not job.target or job.target not in targets):
                due.append(job)
                targets.add(job.target)
        return due

    async def _carry_out(self, job: Job) -> None:
        try:
            await self._until_it_ends(job)
        finally:
            self._running.discard(job.job_id)
            self._targets.discard(job.target)
            self._news.set()

    async def _until_it_ends(self, job: Job) -> None:
        """Go on with a job; after a failure from its last checkpoint, later.

        A database that is away is waited for, however long that takes.
        """
        failures = pauses = 0
        while True:
            try:
                await self._once(job.job_id)
                return
            except AWAY as error:
                failure: Exception = error
            except (DatabaseError, OSError) as error:
                failure, failures = error, failures + 1
            log.warning("job_step_failed", job=job.job_id, kind=job.kind, error=str(failure))
            if failures >= ATTEMPTS and await self._gave_up(job, failure):
                return
            await asyncio.sleep(min(self._pause_s * 2**pauses, LONGEST_PAUSE_S))
            pauses += 1

    async def _gave_up(self, job: Job, error: Exception) -> bool:
        try:
            await self._end(job, JobState.FAILED, error=str(error))
        except DatabaseError:
            return False
        return True

    async def _once(self, job_id: str) -> None:
        now = self._clock.now_ms()
        if not await self._db.write(partial(storage.move, job_id=job_id, to=JobState.ACTIVE, now_ms=now)):
            return
        job = await self._db.read(lambda tx: storage.find(tx, job_id))
        assert job is not None
        handler = self._handlers.get(job.kind)
        if handler is None:
            await self._end(job, JobState.FAILED, error=f"Nothing here does {job.kind}")
            return
        log.info("job_begins", job=job_id, kind=job.kind, target=job.target)
        try:
            result = await handler(Step(self._db, self._clock, job))
        except (Cancelled, Paused) as ended:
            log.info("job_paused" if isinstance(ended, Paused) else "job_cancelled", job=job_id)
        except MatrixError as error:
            await self._end(job, JobState.FAILED, error=error.message)
        except (DatabaseError, OSError):
            raise
        except Exception as error:
            log.exception("job_failed", job=job_id, kind=job.kind)
            await self._end(job, JobState.FAILED, error=f"{type(error).__name__}: {error}")
        else:
            await self._end(job, JobState.COMPLETE, result=result)

    async def _end(self, job: Job, state: JobState, *, result: Json | None = None, error: str = "") -> None:
        await self._db.write(
            partial(
                storage.move,
                job_id=job.job_id,
                to=state,
                now_ms=self._clock.now_ms(),
                result=result,
                error=error[:1000],
            )
        )
        log.info("job_ended", job=job.job_id, kind=job.kind, state=state.value, error=error or None)
