"""Lazy loading of members: which member events each device has been sent (spec: "Lazy-loading room members").

Kept in memory: after a restart a client is sent some again, which it may be at any time.
"""

from __future__ import annotations

from collections.abc import Iterable

from palpo.streams.caches import Cache, CacheBudget

Device = tuple[str, str | None]


class SentMembers:
    """The member events that devices know, by room.

    What was sent counts as known once the client comes back with that response's token: a response may be
    lost, and its request sent again.
    """

    def __init__(self, caches: CacheBudget) -> None:
        self._sent: Cache[tuple[Device, str], dict[str, tuple[str, int]]] = caches.cache(
            "sent_members", _bytes
        )

    def unsent(
        self, device: Device, room_id: str, members: Iterable[tuple[str, str]], *, since: int
    ) -> set[str]:
        """Those users of ``(user, event)`` pairs whose event the device did not know at ``since``."""
        sent = self._sent.touch((device, room_id)) or {}
        return {
            user_id
            for user_id, event_id in members
            if (known := sent.get(user_id)) is None or known[0] != event_id or known[1] > since
        }

    def mark(self, device: Device, room_id: str, members: Iterable[tuple[str, str]], *, upto: int) -> None:
        """Note that ``(user, event)`` pairs are sent in a response whose token is ``upto``."""
        key = (device, room_id)
        sent = self._sent.touch(key)
        changed = False
        for user_id, event_id in members:
            known = None if sent is None else sent.get(user_id)
            if known is None or known[0] != event_id:
                sent = {} if sent is None else sent
                sent[user_id] = (event_id, upto)
                changed = True
        if changed and sent is not None:
            self._sent.keep({key: sent})

    def forget(self, device: Device, room_id: str) -> None:
        """Start over: the device knows nothing of the room."""
        self._sent.pop((device, room_id), None)


def _bytes(key: tuple[Device, str], sent: dict[str, tuple[str, int]]) -> int:
    """Of the key, and of a user ID, an event ID and a position for each member."""
    return 500 + 350 * len(sent)
