"""What a room's state is beside its members: what a client that loads members lazily begins with.

The state tree scatters members among the rest, so finding the rest means reading all of it. That is
done once; from one state to the next only what changed is read.
"""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.events import StateKey
from palpo.core.state_keys import MEMBER
from palpo.core.state_tree import EMPTY_ROOT
from palpo.services.history.event_store import EventStore, State
from palpo.streams.caches import Cache, CacheBudget


@dataclass(frozen=True, slots=True)
class _Outline:
    root: bytes
    ids: dict[StateKey, str]


class Outlines:
    """Keeps the outline of each room in the state that was last asked for."""

    def __init__(self, store: EventStore, caches: CacheBudget) -> None:
        self._store = store
        self._cache: Cache[str, _Outline] = caches.cache("outlines")

    async def get(self, room_id: str, root: bytes) -> State:
        """The state ``root`` of a room without its ``m.room.member`` events."""
        known = self._cache.touch(room_id) or _Outline(EMPTY_ROOT, {})
        if known.root != root:
            ids = dict(known.ids)
            for key, event_id in (await self._store.changed_ids(known.root, root)).items():
                if event_id is None:
                    ids.pop(key, None)
                elif key[0] != MEMBER:
                    ids[key] = event_id
            known = _Outline(root, ids)
            self._cache.keep({room_id: known})
        return await self._store.events_of(known.ids)
