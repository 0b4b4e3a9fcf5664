"""Typing notifications (spec: client-server API, "Typing Notifications").

Sync-facing:

- ``await events(known, fresh, after, upto)`` → room → its ``m.typing`` event's bytes; a look into memory
  where nobody began or stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Container, Sequence, Set

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import RoomId, UserId
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.transaction import WriteTransaction
from palpo.services.history.room_access import RoomAccess
from palpo.storage import typing as storage
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups

DEFAULT_MS = 30_000
MAX_MS = 120_000
KEEP_MS = 24 * 3600 * 1000
"""How long it is known that somebody has stopped."""
LOOK_SECONDS = 1.0
"""How often it is looked for those whose time is over."""
BATCH = 500
MAX_BUSY = 10_000
"""Rooms of which it is remembered that somebody has been typing."""


class Typing:
    """Knows who is typing."""

    def __init__(
        self, db: Database, wakeups: Wakeups, clock: Clock, access: RoomAccess, caches: CacheBudget
    ) -> None:
        self._db = db
        self._clock = clock
        self._access = access
        self._last = LastChanges(wakeups, topics.TYPING, caches)
        self._busy: set[str] | None = None
        """Every room where somebody may be typing, once they have been read; as a whole, so in no cache."""
        self._heard: set[str] = set()
        """Those of which that was heard while it is being read."""
        wakeups.listen(topics.TYPING, self._changed)

    async def set(self, room_id: RoomId, user_id: UserId, *, typing: bool, timeout_ms: int | None) -> None:
        """The user types for ``timeout_ms``, or has stopped; raises Forbidden for non-members."""
        await self._access.require_member(room_id, user_id)
        await self.store(room_id, user_id, typing=typing, timeout_ms=timeout_ms)

    async def store(
        self, room_id: RoomId, user_id: UserId, *, typing: bool, timeout_ms: int | None = None
    ) -> None:
        """Store what a user, local or remote, does; saying the same again is no news."""
        now = self._clock.now_ms()
        lasting = min(max(DEFAULT_MS if timeout_ms is None else timeout_ms, 0), MAX_MS)

        async def unit(tx: WriteTransaction) -> None:
            told = await storage.told(tx, room_id, user_id)
            if typing and told:
                await storage.extend(tx, room_id, user_id, now + lasting)
            elif typing or told:
                await storage.put(
                    tx,
                    room_id,
                    user_id,
                    typing=typing,
                    expires_ts=now + lasting if typing else now,
                    position=await tx.positions(),
                )

        await self._db.write(unit)

    async def events(
        self, known: Sequence[str], fresh: Sequence[str], after: int, upto: int
    ) -> dict[str, bytes]:
        """What a client is shown: of ``known`` rooms if somebody began or stopped typing at a position in
        ``(after, upto]``, of ``fresh`` ones if anybody types.
        """
        changed = await self.changed(known, after, upto)
        current = await self.current([*changed, *fresh])
        shown = [*changed, *(room_id for room_id in fresh if room_id in current)]
        return {room_id: typing_event(current.get(room_id, [])) for room_id in shown}

    async def changed(self, room_ids: Sequence[str], after: int, upto: int) -> list[str]:
        """Those of ``room_ids`` with news at a position in ``(after, upto]``."""
        last = self._last
        if not last.any_since(after, upto):
            return []
        asked = [room_id for room_id in room_ids if last.changed_since(room_id, after, upto)]
        return await self._db.read(lambda tx: storage.changed(tx, asked, after, upto)) if asked else []

    async def current(self, room_ids: Sequence[str]) -> dict[str, list[str]]:
        """Who is typing in each of ``room_ids``."""
        if not room_ids:
            return {}
        busy = self._busy if self._busy is not None else await self._read_busy()
        asked = [room_id for room_id in room_ids if room_id in busy]
        now = self._clock.now_ms()
        return await self._db.read(lambda tx: storage.current(tx, asked, now)) if asked else {}

    async def _read_busy(self) -> Container[str]:
        heard = self._heard = set()
        found = await self._db.read(storage.rooms)
        if self._heard is heard:
            self._busy = found | heard
        return found | heard

    def _changed(self, room_ids: Set[str] | None, position: int) -> None:
        if room_ids is None or len(self._busy or ()) > MAX_BUSY:
            self._busy, self._heard = None, set()
        rooms = self._heard if self._busy is None else self._busy
        rooms.update(room_ids or ())

    async def run(self) -> None:
        """Tell everyone when somebody's time is over, until cancelled."""
        pruned = False
        while True:
            with contextlib.suppress(DatabaseError):
                if not pruned:
                    await self._prune()
                    pruned = True
                await self.expire()
            await asyncio.sleep(LOOK_SECONDS)

    async def _prune(self) -> None:
        before = self._clock.now_ms() - KEEP_MS
        await self._db.write(lambda tx: storage.prune(tx, before))

    async def expire(self) -> None:
        """Tell of those whose time is over now."""
        now = self._clock.now_ms()
        expired = await self._db.read(lambda tx: storage.expired(tx, now, BATCH))
        if not expired:
            return

        async def unit(tx: WriteTransaction) -> None:
            position = await tx.positions(len(expired))
            for offset, item in enumerate(expired):
                await storage.stop(tx, item, now, position + offset)

        await self._db.write(unit)


def typing_event(user_ids: Sequence[str]) -> bytes:
    """The ``m.typing`` event that a client is shown."""
    return to_json({"type": "m.typing", "content": {"user_ids": list(user_ids)}})
