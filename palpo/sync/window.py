"""The stretch of the stream that one answer covers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Positions in ``(since, upto]``; ``since`` is None for a client that knows nothing yet."""

    since: int | None
    upto: int
    topics: Collection[str] | None
    """What committed in it, by topic; None where that is not in memory, so anything may have changed."""

    @property
    def initial(self) -> bool:
        """Whether the client knows nothing yet."""
        return self.since is None

    @property
    def after(self) -> int:
        """The position that the client has seen, 0 for none."""
        return self.since or 0

    def touches(self, topic: str) -> bool:
        """Whether anything on ``topic`` may be new."""
        return self.since is None or self.topics is None or topic in self.topics

    def rooms(self, joined: Collection[str]) -> list[str]:
        """Those of the ``joined`` rooms in which anything may be new; costs the smaller of the two."""
        if self.since is None or self.topics is None:
            return list(joined)
        if len(self.topics) < len(joined):
            names = (topic[5:] for topic in self.topics if topic.startswith("room:"))
            return [name for name in names if name in joined]
        return [name for name in joined if f"room:{name}" in self.topics]

    def read_by(self, user_id: str) -> frozenset[str]:
        """The rooms where the user may have read on, none where that is not in memory."""
        if self.topics is None or f"read:{user_id}" not in self.topics:
            return frozenset()
        return frozenset(topic[9:] for topic in self.topics if topic.startswith("receipts:"))
