"""The event as every layer above the wire sees it: parsed once, never changed."""

from __future__ import annotations

from typing import Any

import msgspec

StateKey = tuple[str, str]
"""The ``(type, state_key)`` pair that names a piece of room state."""


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A persistent event of a room, in any version.

    ``pdu`` is the federation form as a JSON object, exactly what was hashed and signed plus
    ``hashes``, ``signatures`` and ``unsigned``; it is shared, so nobody may change it. The other
    fields are read out of it once. In room versions whose room ID is the create event's hash,
    ``room_id`` is filled in for the create event too.
    """

    event_id: str
    room_id: str
    type: str
    sender: str
    state_key: str | None
    """``None`` for a message event; state events may have the empty string."""
    content: dict[str, Any]
    depth: int
    origin_server_ts: int
    """Milliseconds since the Unix epoch, as claimed by the sender's server."""
    prev_events: tuple[str, ...]
    auth_events: tuple[str, ...]
    redacts: str | None = None
    """The redacted event, wherever the room version puts it (top level, or content)."""
    pdu: dict[str, Any]

    @property
    def is_state(self) -> bool:
        """Whether this is a state event."""
        return self.state_key is not None

    @property
    def key(self) -> StateKey:
        """The state this event sets; only for state events."""
        assert self.state_key is not None
        return self.type, self.state_key
