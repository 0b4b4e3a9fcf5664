"""Reporting what is inappropriate (spec: client-server API, "Reporting Content")."""

from __future__ import annotations

from palpo.core.errors import BadJson, NotFound
from palpo.core.identifiers import EventId, RoomId, ServerName, UserId, server_name_of
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.server.quotas import Quotas
from palpo.storage import accounts as accounts_storage
from palpo.storage import reports as storage
from palpo.storage.reports import Report
from palpo.streams.clock import Clock

MAX_REASON = 10_000
"""Characters."""


class Reports:
    """Takes reports in; administrators read them."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        events: EventStore,
        heads: RoomHeads,
        access: RoomAccess,
        quotas: Quotas,
        *,
        server_name: ServerName,
    ) -> None:
        self._db = db
        self._clock = clock
        self._events = events
        self._heads = heads
        self._access = access
        self._quotas = quotas
        self._server_name = server_name

    async def report_room(self, reporter: UserId, room_id: RoomId, reason: str) -> None:
        """Report a room, whether one is in it or not; raises NotFound."""
        await self._heads.get(room_id)
        await self._store(reporter, reason, room_id=room_id)

    async def report_event(
        self, reporter: UserId, room_id: RoomId, event_id: EventId, reason: str | None, score: int | None
    ) -> None:
        """Report an event of a room that the reporter is in; raises NotFound."""
        joined = await self._access.is_joined(room_id, reporter)
        found = await self._events.find(event_id)
        if found is None or found.event.room_id != room_id or not joined:
            raise NotFound("The event was not found or you are not joined to the room")
        if score is not None and not -100 <= score <= 0:
            raise BadJson("score is not between -100 and 0")
        await self._store(reporter, reason or "", room_id=room_id, event_id=event_id, score=score)

    async def report_user(self, reporter: UserId, user_id: UserId, reason: str) -> None:
        """Report a user; raises NotFound for a local one that does not exist."""
        local = server_name_of(user_id) == self._server_name
        if local and await self._db.read(lambda tx: accounts_storage.find(tx, user_id)) is None:
            raise NotFound("The user was not found")
        await self._store(reporter, reason, user_id=user_id)

    async def _store(
        self,
        reporter: UserId,
        reason: str,
        *,
        room_id: RoomId | None = None,
        event_id: EventId | None = None,
        user_id: UserId | None = None,
        score: int | None = None,
    ) -> None:
        report = Report(
            position=0,
            reporter=reporter,
            room_id=room_id,
            event_id=event_id,
            user_id=user_id,
            reason=reason.replace("\0", "")[:MAX_REASON],
            score=score,
            received_ts=self._clock.now_ms(),
        )

        async def unit(tx: WriteTransaction) -> None:
            await self._quotas.charge(tx, reporter, {Kind.REPORTS: 1})
            await storage.insert(tx, report)

        await self._db.write(unit)
