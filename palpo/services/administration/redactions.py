"""Redacting what a user has sent, room by room, as a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from palpo.core.bounds import TOP
from palpo.core.errors import InvalidParam, MatrixError, NotFound
from palpo.core.identifiers import RoomId, UserId, server_name_of
from palpo.core.membership import INVITE, KNOCK
from palpo.core.records.jobs import Job
from palpo.services.accounts.sessions import Requester
from palpo.services.rooms.sending import Sending
from palpo.services.server import Server
from palpo.services.server.jobs import Step
from palpo.storage import user_history
from palpo.storage.user_history import EventLine

KIND = "redact_user_events"
LIMIT = 1000
"""Events of the user's that are looked at in each room, where nothing else is said."""
WINDOW = 200
"""Events of a room that are read at once, whoever sent them."""
MAX_ROOMS = 1000
"""That may be named."""
MAX_FAILED = 1000
"""Events that are told of because they could not be redacted."""
KEPT = frozenset(
    f"m.room.{name}"
    for name in (
        "create",
        "encryption",
        "guest_access",
        "history_visibility",
        "join_rules",
        "power_levels",
        "redaction",
        "server_acl",
        "tombstone",
    )
)
"""Types of events that say nothing of their sender, and without which a room is another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be redacted. Times are milliseconds since the Unix epoch, and count too."""

    rooms: Sequence[RoomId] = ()
    """None: all that the user is or was in."""
    reason: str | None = None
    limit: int = LIMIT
    use_admin: bool = False
    """Not the user's own redactions, but those of the administrator."""
    after_ts: int = 0
    before_ts: int = TOP


@dataclass(slots=True)
class _Place:
    """Where the work is: a checkpoint."""

    room_id: str = ""
    """The room, or where ``before`` is 0 the one that is done."""
    before: int = 0
    found: int = 0
    """In the room."""
    redacted: int = 0
    failed: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


class UserRedactions:
    """Begins such jobs, and does them."""

    def __init__(self, server: Server, sending: Sending) -> None:
        self._db = server.db
        self._jobs = server.jobs
        self._server_name = server.name
        self._sending = sending

    async def begin(self, user_id: UserId, wanted: Wanted, *, by: UserId) -> str:
        """Have events of a user of any server redacted; the job's ID. Raises InvalidParam, Conflict."""
        if len(wanted.rooms) > MAX_ROOMS:
            raise InvalidParam(f"More than {MAX_ROOMS} rooms")
        if wanted.limit < 1:
            raise InvalidParam("The limit is at least 1")
        params = {
            "rooms": sorted(set(wanted.rooms)),
            "reason": wanted.reason,
            "limit": wanted.limit,
            "use_admin": wanted.use_admin,
            "after_ts": wanted.after_ts,
            "before_ts": wanted.before_ts,
        }
        job = await self._jobs.start(KIND, target=user_id, params=params, requested_by=by)
        return job.job_id

    async def status(self, job_id: str) -> Job:
        """How far one is; raises NotFound."""
        job = await self._jobs.get(job_id)
        if job.kind != KIND:
            raise NotFound("There is no such job")
        return job

    async def run(self, step: Step) -> dict[str, Any]:
        """Do the work from where it is; what could not be redacted."""
        place = _Place(**(step.job.checkpoint or {}))
        while await self._enter_room(step.job, place):
            await step.save(place.as_json(), redacted=place.redacted, failed_redactions=place.failed)
            while place.before:
                await self._redact_some(step.job, place)
                await step.save(place.as_json(), redacted=place.redacted, failed_redactions=place.failed)
        return {"redacted": place.redacted, "failed_redactions": place.failed}

    async def _enter_room(self, job: Job, place: _Place) -> bool:
        """Go on to the next room unless one is under way; False where there is none."""
        if place.before:
            return True
        named = job.params["rooms"]
        rooms = [room for room in named if room > place.room_id][:1]
        if not named:
            rooms = await self._next_room(job.target, place.room_id)
        if not rooms:
            return False
        place.room_id, place.before, place.found = rooms[0], TOP, 0
        return True

    async def _next_room(self, user_id: str, after: str) -> list[str]:
        """The next room that a user is or was in, if there is one."""
        read = partial(user_history.rooms_of, user_id=user_id, limit=WINDOW)
        while found := await self._db.read(partial(read, after=after)):
            entered = [room_id for room_id, membership in found if membership not in (INVITE, KNOCK)]
            if entered:
                return [*entered[:1]]
            after = found[-1][0]
        return []

    async def _redact_some(self, job: Job, place: _Place) -> None:
        """Look at some more of the room's events, the newest first."""
        room_id = RoomId(place.room_id)
        before = place.before
        lines = await self._db.read(lambda tx: user_history.newest(tx, room_id, before=before, limit=WINDOW))
        for line in lines:
            if not _is_wanted(job, line):
                continue
            place.found += 1
            if place.found > job.params["limit"]:
                place.before = 0
                return
            await self._redact(job, room_id, line, place)
        place.before = lines[-1].position if lines else 0

    async def _redact(self, job: Job, room_id: RoomId, line: EventLine, place: _Place) -> None:
        content = {"reason": job.params["reason"]} if job.params["reason"] else {}
        error: MatrixError | None = None
        for requester in self._requesters(job):
            try:
                await self._sending.redact(
                    requester, room_id, line.event_id, content, transaction_id=f"{job.job_id}"
                )
            except MatrixError as refused:
                error = error or refused
            else:
                place.redacted += 1
                return
        if error is not None and len(place.failed) < MAX_FAILED:
            place.failed[line.event_id] = error.message

    def _requesters(self, job: Job) -> list[Requester]:
        """As whom it is tried, one after the other: who has left a room redacts nothing there."""
        admin = Requester(user_id=UserId(job.requested_by), is_admin=True, rate_limited=False)
        user_id = UserId(job.target)
        if job.params["use_admin"] or server_name_of(user_id) != self._server_name:
            return [admin]
        return [Requester(user_id=user_id, rate_limited=False), admin]


def _is_wanted(job: Job, line: EventLine) -> bool:
    return (
        line.sender == job.target
        and line.redacted_by is None
        and line.type not in KEPT
        and job.params["after_ts"] <= line.origin_server_ts <= job.params["before_ts"]
    )
