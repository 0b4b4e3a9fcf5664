"""Lazy loading: which member events a connection knows, in memory.

After a restart a client is sent some again. What was in a response that got lost is sent again too: a
member counts as sent once the client has come back with a position at or after that response.
"""

from __future__ import annotations

from collections.abc import Iterable

Place = tuple[int, int]
"""The generation and the stream position of a response."""


class SentMembers:
    """The member events that one connection has been sent."""

    __slots__ = ("_count", "_sent", "_unconfirmed")

    def __init__(self) -> None:
        self._sent: dict[str, dict[str, str]] = {}
        self._count = 0
        self._unconfirmed: list[tuple[Place, str, str]] = []

    def __len__(self) -> int:
        """How many there are, those that may not have arrived counted twice."""
        return self._count + len(self._unconfirmed)

    def confirm(self, generation: int, position: int) -> None:
        """The client has come with this place: forget what it has not received."""
        for (sent_generation, sent_position), room_id, user_id in self._unconfirmed:
            if sent_generation > generation or sent_position > position:
                self._count -= self._sent.get(room_id, {}).pop(user_id, None) is not None
        self._unconfirmed = []

    def knows(self, room_id: str, user_id: str, event_id: str) -> bool:
        """Whether that event has been sent."""
        return self._sent.get(room_id, {}).get(user_id) == event_id

    def mark(self, place: Place, room_id: str, members: Iterable[tuple[str, str]], *, anew: bool) -> None:
        """Note that ``(user, event)`` pairs are in the response that leads to ``place``.

        ``anew`` if the client had nothing of the room, or is to drop what it had.
        """
        if anew:
            self._count -= len(self._sent.pop(room_id, ()))
        sent = self._sent.setdefault(room_id, {})
        self._count -= len(sent)
        for user_id, event_id in members:
            sent[user_id] = event_id
            self._unconfirmed.append((place, room_id, user_id))
        self._count += len(sent)
