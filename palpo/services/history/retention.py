"""How long messages are kept (MSC1763): by a room's ``m.room.retention``, within what the server allows."""

from __future__ import annotations

from collections.abc import Sequence

from palpo.config.sections.rooms import RetentionConfig
from palpo.core.errors import NotFound
from palpo.core.events import StateKey
from palpo.core.records.events import StoredEvent
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock

RETENTION: StateKey = ("m.room.retention", "")
DAY_MS = 24 * 3600 * 1000
FOREVER = 0


class Retention:
    """Says which messages are too old to be shown, and to be kept."""

    def __init__(
        self, config: RetentionConfig, clock: Clock, events: EventStore, heads: RoomHeads, caches: CacheBudget
    ) -> None:
        self._config = config
        self._clock = clock
        self._events = events
        self._heads = heads
        self._lifetimes: Cache[bytes, int] = caches.cache("lifetimes")

    @property
    def enabled(self) -> bool:
        """Whether anything is ever too old."""
        return self._config.enabled

    async def cutoff(self, head: RoomHead) -> int | None:
        """Messages of a room that were sent before this time are too old; None where none are.

        Milliseconds since the Unix epoch.
        """
        lifetime = self._lifetimes.touch(head.state_root)
        if lifetime is None:
            found = await self._events.state_event(head.state_root, *RETENTION)
            wanted = None if found is None else found.event.content.get("max_lifetime")
            lifetime = self._allowed(wanted)
            self._lifetimes.keep({head.state_root: lifetime})
        return None if lifetime == FOREVER else self._clock.now_ms() - lifetime

    async def unexpired(self, events: Sequence[StoredEvent]) -> list[StoredEvent]:
        """Those of ``events`` that are not too old; state does not grow old."""
        cutoffs: dict[str, int | None] = {}
        kept: list[StoredEvent] = []
        for item in events:
            room_id = item.event.room_id
            if room_id not in cutoffs:
                cutoffs[room_id] = await self._cutoff_of(room_id)
            cutoff = cutoffs[room_id]
            if cutoff is None or item.event.state_key is not None or item.event.origin_server_ts >= cutoff:
                kept.append(item)
        return kept

    async def _cutoff_of(self, room_id: str) -> int | None:
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return None
        return await self.cutoff(head)

    def _allowed(self, wanted: object) -> int:
        """The lifetime of a room's messages, of which the room says ``wanted`` (ms)."""
        config = self._config
        if type(wanted) is not int or wanted < 0:
            return config.default_days * DAY_MS
        longest = config.max_days * DAY_MS or wanted
        # What is asked to go at once is kept for a moment: 0 stands for ever.
        return max(1, min(longest, max(config.min_days * DAY_MS, wanted)))
