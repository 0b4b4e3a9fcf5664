"""Lazy loading of members: which member events each client has been sent (spec: "Lazy-loading room members").

Kept in memory: after a restart a client is sent some again, which it may be at any time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.streams.caches import Cache, CacheBudget

Client = Hashable
"""Who keeps what it is sent: a device that syncs, or a connection of sliding sync."""


class SentMembers:
    """The member events that clients know, by room.

    What was sent counts as known once the client comes back with that response's token: a response may be
    lost, and its request sent again.
    """

    def __init__(self, caches: CacheBudget) -> None:
        self._sent: Cache[tuple[Client, str], dict[str, tuple[str, int]]] = caches.cache(
            "sent_members", _bytes
        )

    def unsent(
        self, client: Client, room_id: str, members: Iterable[tuple[str, str]], *, since: int
    ) -> set[str]:
        """Those users of ``(user, event)`` pairs whose event the client did not know at ``since``."""
        sent = self._sent.touch((client, room_id)) or {}
        return {
            user_id
            for user_id, event_id in members
            if (known := sent.get(user_id)) is None or known[0] != event_id or known[1] > since
        }

    def mark(self, client: Client, room_id: str, members: Iterable[tuple[str, str]], *, upto: int) -> None:
        """Note that ``(user, event)`` pairs are sent in a response whose token is ``upto``."""
        key = (client, room_id)
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

    def forget(self, client: Client, room_id: str) -> None:
        """Start over: the client knows nothing of the room."""
        self._sent.pop((client, room_id), None)


def _bytes(key: tuple[Client, str], sent: dict[str, tuple[str, int]]) -> int:
    """Of the key, and of a user ID, an event ID and a position for each member."""
    return 500 + 350 * len(sent)


def member_pairs(events: Iterable[StoredEvent]) -> list[tuple[str, str]]:
    """``(user, event)`` of the member events among ``events``."""
    return [
        (item.event.state_key, item.event_id)
        for item in events
        if item.event.type == MEMBER and item.event.state_key is not None
    ]
