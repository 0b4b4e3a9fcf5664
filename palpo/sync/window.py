"""The stretch of the stream that one answer covers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from palpo.db.topics import Kind, Topics, disjoint
from palpo.streams import topics


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Positions in ``(since, upto]``; ``since`` is None for a client that knows nothing yet."""

    since: int | None
    upto: int
    changed: Topics | None
    """What has changed in it; None where that is not in memory, so anything may have."""

    @property
    def initial(self) -> bool:
        """Whether the client knows nothing yet."""
        return self.since is None

    @property
    def after(self) -> int:
        """The position that the client has seen, 0 for none."""
        return self.since or 0

    @property
    def anew(self) -> Window:
        """The same for a client that knows nothing yet."""
        return Window(since=None, upto=self.upto, changed=None)

    def touches(self, kind: Kind, key: str) -> bool:
        """Whether anything on a topic may be new."""
        return self.since is None or self.changed is None or key in self.changed.get(kind, ())

    def is_quiet(self, wanted: Topics) -> bool:
        """Whether nothing on the ``wanted`` topics is new."""
        return self.changed is not None and disjoint(self.changed, wanted)

    def rooms(self, joined: Collection[str]) -> list[str]:
        """Those of the ``joined`` rooms in which anything may be new; costs the smaller of the two."""
        if self.since is None or self.changed is None:
            return list(joined)
        changed = self.changed.get(topics.ROOM, set())
        if len(changed) < len(joined):
            return [name for name in changed if name in joined]
        return [name for name in joined if name in changed]

    def read_by(self, user_id: str) -> frozenset[str]:
        """The rooms where the user may have read on, none where that is not in memory."""
        if self.changed is None or user_id not in self.changed.get(topics.READ, ()):
            return frozenset()
        return frozenset(self.changed.get(topics.RECEIPTS, ()))

    def touched(self, user_id: str) -> frozenset[str] | None:
        """The rooms in which anything may have changed for a user, None for all of them."""
        changed = self.changed
        if changed is None or user_id in changed.get(topics.ACCOUNT_DATA, ()):
            return None
        return frozenset().union(*(changed.get(kind, ()) for kind in (topics.ROOM, topics.RECEIPTS)))
