"""Lazy loading of members: which member events each device has been sent (spec: "Lazy-loading room members").

Kept in memory: after a restart a client is sent some again, which it may be at any time.
"""

from __future__ import annotations

from collections.abc import Iterable

from palpo.services.event_store import Bounded

Device = tuple[str, str | None]


class SentMembers:
    """The member events that devices know, by room."""

    def __init__(self, *, devices_and_rooms: int = 50_000) -> None:
        self._sent: Bounded[tuple[Device, str], dict[str, str]] = Bounded(devices_and_rooms)

    def unsent(self, device: Device, room_id: str, members: Iterable[tuple[str, str]]) -> set[str]:
        """Those users of ``(user, event)`` pairs whose event the device has not been sent."""
        sent = self._sent.touch((device, room_id)) or {}
        return {user_id for user_id, event_id in members if sent.get(user_id) != event_id}

    def mark(self, device: Device, room_id: str, members: Iterable[tuple[str, str]]) -> None:
        """Note that ``(user, event)`` pairs are sent."""
        key = (device, room_id)
        sent = self._sent.touch(key)
        if sent is None:
            sent = {}
            self._sent.keep({key: sent})
        sent.update(members)

    def forget(self, device: Device, room_id: str) -> None:
        """Start over: the device knows nothing of the room."""
        self._sent.pop((device, room_id), None)
