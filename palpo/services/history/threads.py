"""Which thread an event is in (spec: client-server API, "Threading", "Threaded read receipts")."""

from __future__ import annotations

from palpo.core.events import Event
from palpo.services.history.event_store import EventStore

MAIN = "main"
"""The thread of what is in no thread."""
MAX_HOPS = 3
"""Relations that are followed on the way to a thread's root."""


def relation(event: Event) -> tuple[str | None, str | None]:
    """``(rel_type, event ID)`` of what an event relates to."""
    relates_to = event.content.get("m.relates_to")
    if not isinstance(relates_to, dict):
        return None, None
    rel_type, target = relates_to.get("rel_type"), relates_to.get("event_id")
    if not isinstance(rel_type, str) or not isinstance(target, str):
        return None, None
    return rel_type, target


class Threads:
    """Follows relations."""

    def __init__(self, events: EventStore) -> None:
        self._events = events

    async def thread_of(self, event: Event) -> str:
        """The root's event ID, or MAIN."""
        room_id = event.room_id
        for _ in range(MAX_HOPS):
            rel_type, target = relation(event)
            if target is None:
                return MAIN
            if rel_type == "m.thread":
                return target
            found = await self._events.find(target)
            if found is None or found.event.room_id != room_id:
                return MAIN
            event = found.event
        return MAIN

    async def related(self, event: Event, root: str) -> bool:
        """Whether an event is the thread's root, or relates to it by a few hops of any kind."""
        room_id = event.room_id
        for _ in range(MAX_HOPS):
            _, target = relation(event)
            if root in (event.event_id, target):
                return True
            found = None if target is None else await self._events.find(target)
            if found is None or found.event.room_id != room_id:
                return False
            event = found.event
        return event.event_id == root
