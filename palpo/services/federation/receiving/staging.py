"""Events that wait until they can be judged: stored, so they outlast a restart, and bounded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from palpo.core.canonical_json import to_json
from palpo.core.event_format import is_event_id
from palpo.core.events import SignedEvent
from palpo.core.identifiers import RoomId, ServerName
from palpo.core.records.events import Refusal
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import event_refusals
from palpo.storage import inbound_pdus as storage
from palpo.storage.event_refusals import shortened
from palpo.storage.inbound_pdus import InboundPdu, Waiting
from palpo.streams.clock import Clock

MINUTE_MS = 60_000
AGAIN_MS = (30_000, 2 * 60 * MINUTE_MS)
"""After how long what could not be judged is tried again: at first, and at most."""
SILENT_MS = 15_000
"""The same where it could not be judged since a server did not answer at all, however often."""
TRYING_MS = 2 * MINUTE_MS
"""How long whoever tries may take: then others take it that they were killed."""
SETTLING_MS = 10_000
"""How long after something has come into a room what waits there is tried: more may be on its way, and mostly
whoever sends that sends again what waits."""

LOOKED_AT = 1000
"""Events of which one look finds the rooms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StagingBounds:
    """How many events wait at most."""

    in_room: int = 1000
    of_origin: int = 5000
    in_all: int = 50_000

    def room(self, waiting: Waiting) -> int:
        """For how many more there is room."""
        return min(
            self.in_room - waiting.in_room,
            self.of_origin - waiting.of_origin,
            self.in_all - waiting.in_all,
        )


BOUNDS = StagingBounds()


class Staging:
    """Keeps them."""

    def __init__(self, db: Database, clock: Clock, *, bounds: StagingBounds = BOUNDS) -> None:
        self._db = db
        self._clock = clock
        self._bounds = bounds
        self._rooms: set[str] | None = None
        """Rooms in which something may wait, once they have been looked up."""
        self.put_count = 0
        """How many events had to wait."""
        self.refused_count = 0
        """How many were not even stored, of those whose IDs can be told."""

    async def put(self, origin: ServerName, room_id: RoomId, events: Sequence[SignedEvent]) -> set[str]:
        """Have events wait, which are about to be tried; those for which there is no room do not."""
        now = self._clock.now_ms()
        rows = [
            InboundPdu(
                room_id=room_id,
                event_id=event.event_id,
                origin=origin,
                # In this order they are tried.
                received_ts=now,
                tries=0,
                next_ts=now + TRYING_MS,
                pdu=to_json(event.pdu),
            )
            for event in events
        ]

        async def unit(tx: WriteTransaction) -> set[str]:
            known = await storage.known(tx, room_id, [row.event_id for row in rows])
            room = max(self._bounds.room(await storage.count(tx, room_id, origin)), 0)
            new = [row for row in rows if row.event_id not in known]
            await storage.put(tx, [row for row in rows if row.event_id in known] + new[:room])
            return {row.event_id for row in new[room:]}

        refused = await self._db.write(unit)
        self.put_count += len(rows) - len(refused)
        (await self._known_rooms()).add(room_id)
        return refused

    async def due(self, room_id: str, *, also: Collection[str] = (), limit: int) -> list[InboundPdu]:
        """Those of a room that are to be tried now, and ``also`` these if they wait."""
        now = self._clock.now_ms()

        async def unit(tx: Transaction) -> list[InboundPdu]:
            found = await storage.due(tx, room_id, now_ms=now, limit=limit)
            seen = {row.event_id for row in found}
            more = [name for name in also if name not in seen]
            return found + (await storage.find(tx, room_id, more) if more else [])

        return await self._db.read(unit)

    async def later(self, rows: Iterable[InboundPdu], why: str, *, silent: bool = False) -> None:
        """These could not be judged, and ``why``; ``silent``: who was to be asked did not answer.

        Those that were tried before their time keep it.
        """
        now = self._clock.now_ms()
        tried = [
            replace(
                row,
                tries=max(row.tries, 1) if silent else row.tries + 1,
                next_ts=now + (SILENT_MS if silent else _pause_ms(row.tries + 1)),
                why=shortened(why),
            )
            for row in rows
            if not row.tries or row.next_ts <= now
        ]
        if tried:
            await self._db.write(lambda tx: storage.later(tx, tried))

    async def refused(self, origin: ServerName, room_id: RoomId, refused: Mapping[str, Refusal]) -> None:
        """Note why events of these IDs are neither stored nor wait."""
        now = self._clock.now_ms()
        notes = [
            event_refusals.refused(name, room_id, refusal, now, origin)
            for name, refusal in refused.items()
            if is_event_id(name)
        ]
        self.refused_count += len(refused)
        if notes:
            await self._db.write(lambda tx: event_refusals.note_unstored(tx, notes))

    async def done(self, room_id: str, event_ids: Collection[str]) -> None:
        """There is a verdict on these, or there is never going to be one."""
        if event_ids:
            await self._db.write(lambda tx: storage.take(tx, room_id, event_ids))

    async def grown(self, room_id: str, event_ids: Collection[str]) -> None:
        """These have come into a room: they wait no more, and what still does may rest on them."""
        if not event_ids or room_id not in await self._known_rooms():
            return
        at = self._clock.now_ms() + SETTLING_MS

        async def unit(tx: WriteTransaction) -> bool:
            await storage.take(tx, room_id, event_ids)
            await storage.sooner(tx, room_id, at)
            return bool(await storage.waits_in(tx, [room_id]))

        if not await self._db.write(unit):
            (await self._known_rooms()).discard(room_id)

    async def resume(self) -> None:
        """Have what nobody has tried to an end tried now: who was about to is gone."""
        now = self._clock.now_ms()
        await self._db.write(lambda tx: storage.untried(tx, now))

    async def due_rooms(self) -> list[str]:
        """Rooms in which something is to be tried now, the most urgent first."""
        now = self._clock.now_ms()
        found = await self._db.read(lambda tx: storage.due_rooms(tx, now_ms=now, limit=LOOKED_AT))
        (await self._known_rooms()).update(found)
        return found

    async def _known_rooms(self) -> set[str]:
        """Rooms in which something may wait; what other processes put there comes with ``due_rooms``."""
        if self._rooms is None:
            self._rooms = await self._db.read(storage.rooms)
        return self._rooms


def _pause_ms(tries: int) -> int:
    first, longest = AGAIN_MS
    return min(first << min(tries - 1, 20), longest)
