"""Members whom a room's state does not have yet, as their own events say who they are (MSC3902)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.services.history.event_store import EventStore, State


async def claimed_members(store: EventStore, events: Sequence[StoredEvent], users: Collection[str]) -> State:
    """The member events of those of ``users`` who have sent any of the events: what these rest on."""
    sent = await store.signed(item.event_id for item in events if item.event.sender in users)
    claims = {(name, event.sender) for event in sent.values() for name in event.auth_events}
    items = await store.get_many({name for name, _ in claims})
    return {
        item.event.key: item
        for name, item in items.items()
        if item.event.type == MEMBER
        and (name, item.event.state_key) in claims
        and item.status is not EventStatus.REJECTED
    }
