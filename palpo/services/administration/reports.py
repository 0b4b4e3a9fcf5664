"""What users have reported: events, rooms and other users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palpo.core.errors import NotFound
from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.rooms.room_overviews import Overview, Overviews
from palpo.storage import reports as storage
from palpo.storage import rooms
from palpo.storage.reports import Report, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownReport:
    """A report, with what it is about, where that is here."""

    report: Report
    event: StoredEvent | None
    room: Overview | None


class ReportAdministration:
    """Shows reports, and takes them away."""

    def __init__(self, db: Database, events: EventStore, overviews: Overviews) -> None:
        self._db = db
        self._events = events
        self._overviews = overviews

    async def page(
        self, *, backwards: bool = True, skipped: int = 0, limit: int = 100, **wanted: str | None
    ) -> tuple[int, list[ShownReport]]:
        """How many there are, and some of them: the newest first, or the oldest.

        ``wanted`` are the fields of ``storage.reports.Wanted``: what they are about, who made them.
        """
        these = Wanted(**wanted)

        async def unit(tx: Transaction) -> tuple[int, list[Report]]:
            found = await storage.page(tx, these, backwards=backwards, skipped=skipped, limit=limit)
            if len(found) < limit and (found or not skipped):
                return skipped + len(found), found
            return await storage.total(tx, these), found

        total, found = await self._db.read(unit)
        return total, await self._shown(found)

    async def get(self, report_id: int, *, about: str) -> ShownReport:
        """One report of an ``event``, a ``room`` or a ``user``; raises NotFound."""
        found = await self._db.read(lambda tx: storage.get(tx, report_id))
        if found is None or found.about != about:
            raise _unknown()
        return (await self._shown([found]))[0]

    async def delete(self, report_id: int, *, about: str | None = None) -> None:
        """Take a report away, whatever it is about or only if it is about that; raises NotFound."""

        async def unit(tx: WriteTransaction) -> bool:
            found = await storage.get(tx, report_id)
            return (
                found is not None and about in {None, found.about} and await storage.delete_one(tx, report_id)
            )

        if not await self._db.write(unit):
            raise _unknown()

    async def event_json(self, event_id: str) -> bytes:
        """An event as servers exchange it; raises NotFound."""
        found = await self._events.pdus([event_id])
        if event_id not in found:
            raise NotFound("The event is not here any more")
        return found[event_id]

    async def _shown(self, reports: Sequence[Report]) -> list[ShownReport]:
        events = await self._events.get_many({item.event_id for item in reports if item.event_id is not None})
        room_ids = {item.room_id for item in reports if item.room_id is not None}
        heads = await self._db.read(lambda tx: rooms.load_heads(tx, room_ids)) if room_ids else []
        overviews = await self._overviews.get_many({head.room_id: head.state_root for head in heads})
        return [
            ShownReport(
                report=item,
                event=events.get(item.event_id or ""),
                room=overviews.get(item.room_id or ""),
            )
            for item in reports
        ]


def _unknown() -> NotFound:
    return NotFound("There is no such report")
