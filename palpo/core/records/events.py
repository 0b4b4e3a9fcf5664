"""Events with their place in a room."""

from __future__ import annotations

from enum import IntEnum, StrEnum

import msgspec

from palpo.core.events import KeptEvent


class EventStatus(IntEnum):
    """What became of an event."""

    ACCEPTED = 0
    SOFT_FAILED = 1
    """Fine by its own auth events, not by the room's current state: kept, but shown to nobody."""
    REJECTED = 2
    OUTLIER = 3
    """Known only because another event refers to it; the state at it is not known."""
    HIDDEN = 4
    """Accepted, and of the room's history, but it says nothing: it is shown to other servers only."""


class Check(StrEnum):
    """What is looked at of an event of another server, in order (spec: "Checks performed on receipt")."""

    FORM = "form"
    SIGNATURES = "signatures"
    AUTH_EVENTS = "auth_events"
    STATE_BEFORE = "state_before"
    CURRENT_STATE = "current_state"
    POLICY_SERVER = "policy_server"


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """Which check an event has not passed, and by what rule."""

    refused_by: Check
    reason: str


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event, where it stands, and its client form."""

    event: KeptEvent
    """Without what is not protected, if it has been redacted."""
    position: int
    place: int
    """The topological number that this server gave it; ``position`` decides between equal ones."""
    state_before: bytes
    """Root of the state tree before the event."""
    state_after: bytes
    room_state: bytes
    """Root of the room's current state once the event was in."""
    redacted_by: str | None
    status: EventStatus
    after_gap: bool = False
    """Whether events before it were not here when it came."""
    client: bytes
    """The client form (``core.events.client_event_bytes``)."""

    @property
    def event_id(self) -> str:
        """The event's ID."""
        return self.event.event_id

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands in the room's timeline: ``(place, position)``."""
        return self.place, self.position
