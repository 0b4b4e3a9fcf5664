"""What is new in one room, whichever way it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from palpo.core.records.events import StoredEvent
from palpo.services.accounts.sessions import Requester
from palpo.services.push.unread import UnreadCounts
from palpo.services.reading.client_events import ClientEvents
from palpo.sync.summary import RoomSummary
from palpo.sync.timelines import TimelinePart

Rendered = Mapping[str, bytes]
"""Events in client form, by ID."""


@dataclass(slots=True, kw_only=True)
class RoomNews:
    """What both ways to sync tell of a room."""

    room_id: str
    timeline: TimelinePart | None = None
    state: list[StoredEvent] = field(default_factory=list)
    summary: RoomSummary | None = None
    unread: UnreadCounts | None = None

    @property
    def events(self) -> list[StoredEvent]:
        """Those of the timeline, and the state."""
        return self.state if self.timeline is None else [*self.timeline.events, *self.state]


async def render(
    client_events: ClientEvents, requester: Requester, rooms: Sequence[RoomNews], *, federation: bool = False
) -> Rendered:
    """The events of ``rooms`` in client form; with ``federation`` in the form that servers exchange."""
    events = [item for room in rooms for item in room.events]
    made = await client_events.render(
        await client_events.exchanged(events) if federation else events,
        user_id=requester.user_id,
        device_id=requester.device_id,
        with_room_id=False,
    )
    return {item.event_id: form for item, form in zip(events, made, strict=True)}
