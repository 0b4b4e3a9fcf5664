"""State that has been redacted: the room's state is the same, and yet it says something else.

Two states with one root have the same events in them, so comparing them does not show it.
"""

from __future__ import annotations

from palpo.core import state_tree
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore, State
from palpo.storage import events as events_storage
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups

MAX_REDACTIONS = 500
"""Redactions of a room that are looked at for one response: the newest."""


class RedactedState:
    """Finds state that was redacted within a part of the stream."""

    def __init__(self, db: Database, wakeups: Wakeups, store: EventStore, caches: CacheBudget) -> None:
        self._db = db
        self._store = store
        self._last = LastChanges(wakeups, topics.REDACTED, caches)

    async def within(self, room_id: str, root: bytes, *, after: int, upto: int) -> State:
        """What of the state ``root`` was redacted at a position in ``(after, upto]``.

        It costs a look into memory where the room has had no redaction.
        """
        if not self._last.changed_since(room_id, after, upto):
            return {}
        ids = await self._db.read(
            lambda tx: events_storage.redactions(tx, room_id, after=after, upto=upto, limit=MAX_REDACTIONS)
        )
        redactions = await self._store.get_list(ids)
        targets = {item.event.redacts for item in redactions if item.event.redacts is not None}
        redacted = {
            event_id: item
            for event_id, item in (await self._store.get_many(targets)).items()
            if item.event.state_key is not None
            and item.redacted_by is not None
            and item.event.room_id == room_id
        }
        keys = {item.event.key for item in redacted.values()}
        current = await self._store.read_state(state_tree.get_many(root, keys)) if keys else {}
        return {key: redacted[event_id] for key, event_id in current.items() if event_id in redacted}
