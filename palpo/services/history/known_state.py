"""The state that auth checks keep asking a room for, as far as it has been looked up."""

from __future__ import annotations

from msgspec.structs import replace

from palpo.core.events import Event, KeptEvent, SignedEvent, StateKey, kept_event
from palpo.core.state_keys import (
    AVATAR,
    CANONICAL_ALIAS,
    CREATE,
    ENCRYPTION,
    GUEST_ACCESS,
    HISTORY_VISIBILITY,
    JOIN_RULES,
    NAME,
    POWER_LEVELS,
    TOPIC,
)
from palpo.streams.sizes import deep_size

MAX_EVENTS = 256
"""Pieces of state that are kept of a room, the members who are heard of most among them."""
MAX_BYTES = 1024 * 1024

FIXED = frozenset(
    (
        CREATE,
        POWER_LEVELS,
        JOIN_RULES,
        HISTORY_VISIBILITY,
        GUEST_ACCESS,
        ENCRYPTION,
        NAME,
        TOPIC,
        AVATAR,
        CANONICAL_ALIAS,
    )
)
"""State that every room may have once. What else is not set is looked up each time: anybody may name any."""


class KnownState:
    """Events by the state that they set: the most recently added, bounded in number and in bytes."""

    __slots__ = ("absent", "bytes", "events")

    def __init__(self) -> None:
        self.events: dict[StateKey, Event] = {}
        """What is known to be set; to be read only."""
        self.absent: frozenset[StateKey] = frozenset()
        """What is known not to be set."""
        self.bytes = 0
        """What the events take."""

    def __len__(self) -> int:
        return len(self.events) + len(self.absent)

    def add(self, key: StateKey, event: Event | None) -> None:
        """Note what is set at ``key``; None for nothing."""
        if event is None:
            if key in FIXED:
                self.absent |= {key}
            return
        self._drop(key)
        kept = _compact(event)
        self.events[key] = kept
        self.bytes += _event_bytes(kept)
        if len(self.events) > MAX_EVENTS or self.bytes > MAX_BYTES:
            self._bound()

    def replaced(self, key: StateKey, event: Event) -> KnownState:
        """A copy in which ``event`` is set at ``key``."""
        copy = KnownState()
        copy.events = dict(self.events)
        copy.absent = self.absent - {key}
        copy.bytes = self.bytes
        copy.add(key, event)
        return copy

    def _drop(self, key: StateKey) -> None:
        event = self.events.pop(key, None)
        if event is not None:
            self.bytes -= _event_bytes(event)

    def _bound(self) -> None:
        """Drop the oldest, what every room has at last."""
        others = [key for key in self.events if key not in FIXED]
        for key in (*others, *FIXED):
            if len(self.events) <= MAX_EVENTS * 7 // 8 and self.bytes <= MAX_BYTES:
                break
            self._drop(key)


def _compact(event: Event) -> Event:
    """The event without the form that servers exchange, and with its content decoded.

    In versions that name events by their ID and hash, the hash of one that is not stored yet is still
    to be made of that form.
    """
    if isinstance(event, SignedEvent):
        if "event_id" in event.pdu:
            return event
        event = kept_event(event)
    if isinstance(event, KeptEvent) and event.decoded is None:
        return replace(event, decoded=event.content)
    return event


def _event_bytes(event: Event) -> int:
    if isinstance(event, KeptEvent):
        return 400 + len(event.client) + deep_size(event.decoded)
    return deep_size(event) + 200
