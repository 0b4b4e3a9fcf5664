"""Read receipts and read markers (spec: client-server API, "Receipts", "Fully read markers").

Sync-facing: ``await changed(user_id, room_ids, after, upto)`` → room → the ``m.receipt`` event's bytes, of
the receipts that changed at a position in ``(after, upto]`` and that the user may see. It costs a look into
memory for each room where nothing has changed. ``m.fully_read`` comes with the account data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import to_json
from palpo.core.errors import InvalidParam, NotFound
from palpo.core.identifiers import EventId, RoomId, UserId, parse_event_id
from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.threads import MAIN, Threads
from palpo.services.personal.account_data import FULLY_READ, room_content
from palpo.storage import account_data as account_data_storage
from palpo.storage import events as events_storage
from palpo.storage import receipts as storage
from palpo.storage.receipts import Receipt
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups

READ = "m.read"
PRIVATE = "m.read.private"
MAX_IN_THREADS = 1000
"""Receipts of one user in the threads of one room; those that moved before these are forgotten."""
TYPES = (READ, PRIVATE, FULLY_READ)


class Receipts:
    """Takes receipts and shows them."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        clock: Clock,
        events: EventStore,
        access: RoomAccess,
        threads: Threads,
        caches: CacheBudget,
    ) -> None:
        self._db = db
        self._clock = clock
        self._events = events
        self._access = access
        self._threads = threads
        self._last = LastChanges(wakeups, topics.RECEIPTS, caches)

    async def changed(
        self, user_id: UserId, room_ids: Sequence[str], after: int, upto: int
    ) -> dict[str, bytes]:
        """Room → ``m.receipt`` event, for the rooms where there is anything to tell the user."""
        last = self._last
        if after and not last.any_since(after, upto):
            return {}
        asked = [room for room in room_ids if not after or last.changed_since(room, after, upto)]
        if not asked:
            return {}
        found = await self._db.read(lambda tx: storage.changed(tx, asked, after, upto))
        return _shown(found, user_id)

    async def of_events(
        self, user_id: UserId, event_ids: Mapping[str, Collection[str]], upto: int
    ) -> dict[str, bytes]:
        """Room → ``m.receipt`` event: of some events of each room, with all of the user's own."""
        if not event_ids:
            return {}
        found = await self._db.read(lambda tx: storage.of_events(tx, user_id, event_ids, upto))
        return _shown(found, user_id)

    async def send(
        self,
        user_id: UserId,
        room_id: RoomId,
        receipt_type: str,
        event_id: EventId,
        *,
        thread_id: str | None = None,
    ) -> None:
        """Move a receipt or the fully read marker forward; what would move it back does nothing.

        Raises InvalidParam, Forbidden, NotFound for an event that is not in the room.
        """
        if receipt_type not in TYPES:
            raise InvalidParam("There is no such type of receipt")
        if thread_id is not None and (receipt_type == FULLY_READ or not thread_id):
            raise InvalidParam("thread_id is a string with something in it, and not for m.fully_read")
        await self._access.require_member(room_id, user_id)
        stored = await self._event(room_id, event_id)
        if thread_id is not None:
            await self._check_thread(stored, thread_id)
        if receipt_type == FULLY_READ:
            await self._move_marker(user_id, room_id, stored)
            return
        receipt = Receipt(
            room_id=room_id,
            user_id=user_id,
            thread_id=thread_id or "",
            private=receipt_type == PRIVATE,
            event_id=event_id,
            event_position=stored.position,
            ts=self._clock.now_ms(),
            position=0,
        )
        await self.store([receipt])

    async def store(self, receipts: Iterable[Receipt]) -> None:
        """Store receipts, local or remote, at new positions; each that would go back is left out."""
        items = list(receipts)

        async def unit(tx: WriteTransaction) -> None:
            # The positions come first: their lock keeps two moves of one receipt apart.
            position = await tx.positions(len(items))
            for offset, item in enumerate(items):
                old = await storage.get(tx, item.room_id, item.user_id, item.thread_id, item.private)
                if old is None or old.event_position < item.event_position:
                    await storage.put(tx, msgspec.structs.replace(item, position=position + offset))
                    if old is None and item.thread_id:
                        await storage.forget_oldest_in_threads(
                            tx, item.room_id, item.user_id, keep=MAX_IN_THREADS
                        )

        await self._db.write(unit)

    async def _event(self, room_id: RoomId, event_id: EventId) -> StoredEvent:
        stored = await self._events.get(event_id)
        if stored.event.room_id != room_id:
            raise NotFound("Event not found")
        return stored

    async def _check_thread(self, stored: StoredEvent, thread_id: str) -> None:
        check_text(thread_id, "thread_id")
        if thread_id == MAIN:
            related = await self._threads.thread_of(stored.event) == MAIN
        else:
            related = await self._threads.related(stored.event, parse_event_id(thread_id))
        if not related:
            raise InvalidParam("The event is not related to thread_id")

    async def _move_marker(self, user_id: UserId, room_id: RoomId, stored: StoredEvent) -> None:
        async def unit(tx: WriteTransaction) -> None:
            # The position comes first: its lock keeps two moves of one marker apart.
            position = await tx.positions()
            old_id = (await room_content(tx, user_id, room_id, FULLY_READ)).get("event_id")
            old = await events_storage.load(tx, [old_id]) if isinstance(old_id, str) else []
            if not old or old[0].position < stored.position:
                content = to_json({"event_id": stored.event_id})
                await account_data_storage.put(tx, user_id, room_id, FULLY_READ, content, position)

        await self._db.write(unit)


def _shown(receipts: Iterable[Receipt], user_id: UserId) -> dict[str, bytes]:
    """Room → ``m.receipt`` event, of the receipts that the user may see."""
    by_room: dict[str, list[Receipt]] = {}
    for item in receipts:
        if not item.private or item.user_id == user_id:
            by_room.setdefault(item.room_id, []).append(item)
    return {room_id: receipt_event(of_room) for room_id, of_room in by_room.items()}


def receipt_content(receipts: Iterable[Receipt]) -> dict[str, Any]:
    """The content of ``m.receipt``; of a user's receipts for one event the unthreaded one wins (MSC4102)."""
    content: dict[str, Any] = {}
    for item in receipts:
        type_ = PRIVATE if item.private else READ
        users = content.setdefault(item.event_id, {}).setdefault(type_, {})
        if not item.thread_id:
            users[item.user_id] = {"ts": item.ts}
        elif "thread_id" in users.get(item.user_id, {"thread_id": ""}):
            users[item.user_id] = {"ts": item.ts, "thread_id": item.thread_id}
    return content


def receipt_event(receipts: Iterable[Receipt]) -> bytes:
    """The ``m.receipt`` event that a client is shown."""
    return to_json({"type": "m.receipt", "content": receipt_content(receipts)})
