"""``bump_stamp``: when something last happened in a room that clients sort rooms by (MSC4186)."""

from __future__ import annotations

from palpo.services.history.event_store import EventStore
from palpo.services.history.recent_events import RecentEvents
from palpo.streams.caches import Cache, CacheBudget

BUMPING = frozenset(
    (
        "m.room.create",
        "m.room.message",
        "m.room.encrypted",
        "m.sticker",
        "m.call.invite",
        "m.poll.start",
        "org.matrix.msc3381.poll.start",
        "m.beacon_info",
        "org.matrix.msc3672.beacon_info",
    )
)
PAGE = 50
MAX_PAGES = 20
"""A room whose newest thousand events are none of these has the stamp of the oldest among them."""


class BumpStamps:
    """Finds the stamps, and keeps them: they only ever move on."""

    def __init__(self, recent: RecentEvents, store: EventStore, caches: CacheBudget) -> None:
        self._recent = recent
        self._store = store
        self._found: Cache[str, tuple[int, int]] = caches.cache("bump_stamps")
        """Room → the position up to which was looked, the stamp."""

    async def get(self, room_id: str, upto: int) -> int:
        """The position of the newest event of such a type at or below ``upto``, or of a later one."""
        looked, stamp = self._found.touch(room_id) or (0, 0)
        if looked < upto:
            stamp = await self._find(room_id, looked, upto) or stamp
            self._found.keep({room_id: (upto, stamp)})
        return stamp

    async def _find(self, room_id: str, after: int, upto: int) -> int:
        """The newest one in ``(after, upto]``, 0 for none."""
        for _ in range(MAX_PAGES):
            ids = await self._recent.latest_ids(room_id, after=after, upto=upto, limit=PAGE)
            events = await self._store.get_list(ids)
            for item in events:
                if item.event.type in BUMPING:
                    return item.position
            if len(ids) < PAGE or not events:
                return 0
            upto = events[-1].position - 1
        return upto
