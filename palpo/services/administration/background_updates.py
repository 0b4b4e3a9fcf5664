"""What the server brings up to date of its own accord: how far that is, paused, and begun anew by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import BadRequest, Conflict, InvalidParam
from palpo.core.records.jobs import Job, Json
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.administration.room_lists import RoomLists
from palpo.services.reading.user_directory import rebuild_some
from palpo.services.server.background_updates import BackgroundUpdates
from palpo.services.server.jobs import Jobs, Paused, Step
from palpo.storage import room_summaries
from palpo.streams.clock import Clock

ROOM_SUMMARIES, USER_DIRECTORY = "room_summaries", "user_directory"
KINDS = (ROOM_SUMMARIES, USER_DIRECTORY)
"""Jobs that wait while background updates are paused."""
BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """One that is under way."""

    name: str
    items: int
    """Rooms or users that it has seen to."""
    duration_ms: int
    """How long it has worked; what it waited is left out."""


class BackgroundUpdateAdministration:
    """Says how far they are, and begins some."""

    def __init__(
        self, db: Database, clock: Clock, jobs: Jobs, updates: BackgroundUpdates, rooms: RoomLists
    ) -> None:
        self._db = db
        self._clock = clock
        self._jobs = jobs
        self._updates = updates
        self._rooms = rooms

    async def enabled(self) -> bool:
        """Whether they go on."""
        return await self._updates.enabled()

    async def set_enabled(self, enabled: bool) -> None:
        """Let them go on, or pause them all, until they are let go on again."""
        await self._updates.set_enabled(enabled)

    async def held_back(self) -> Collection[str]:
        """The kinds of jobs that have to wait now."""
        return () if await self._updates.enabled() else KINDS

    async def current(self) -> list[Update]:
        """Those that are under way, the oldest first."""
        found = [job for job in await self._jobs.find() if job.kind in KINDS and not job.state.ended]
        found.sort(key=lambda job: (job.created_ts, KINDS.index(job.kind)))
        return [_update(job) for job in found]

    async def start(self, kind: str, *, by: str) -> Job:
        """Do one over all rooms or users; raises InvalidParam, and BadRequest where it is under way."""
        if kind not in KINDS:
            raise InvalidParam(f"There are {' and '.join(KINDS)}")
        try:
            return await self._jobs.start(kind, requested_by=by)
        except Conflict as error:
            raise BadRequest(error.message) from None

    async def summarize_rooms(self, step: Step) -> Json:
        """Look into every room again, whatever is known of it."""

        async def some(after: str) -> tuple[str | None, int]:
            rows = await self._db.read(partial(room_summaries.heads_after, room_id=after, limit=BATCH))
            await self._rooms.summarize([row for row in rows if row.extremities])
            return (rows[-1].room_id if rows else None), len(rows)

        return await self._in_steps(step, some)

    async def rebuild_user_directory(self, step: Step) -> Json:
        """Make the words anew that each user here is found by."""

        async def some(after: str) -> tuple[str | None, int]:
            async def unit(tx: WriteTransaction) -> tuple[str | None, int]:
                return await rebuild_some(tx, after)

            return await self._db.write(unit)

        return await self._in_steps(step, some)

    async def _in_steps(self, step: Step, some: Callable[[str], Awaitable[tuple[str | None, int]]]) -> Json:
        """Have ``some`` done after where the one before has ended, until there are none; raises Paused."""
        at = step.job.checkpoint or {"after": "", "items": 0, "ms": 0}
        while True:
            if not await self._updates.enabled():
                raise Paused("Background updates are paused")
            began = self._clock.now_ms()
            after, count = await some(at["after"])
            if after is None:
                return {"items": at["items"]}
            spent = at["ms"] + max(0, self._clock.now_ms() - began)
            at = {"after": after, "items": at["items"] + count, "ms": spent}
            await step.save(at, items=at["items"])


def _update(job: Job) -> Update:
    at = job.checkpoint or {}
    return Update(name=job.kind, items=at.get("items", 0), duration_ms=at.get("ms", 0))
