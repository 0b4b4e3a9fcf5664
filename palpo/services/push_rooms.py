"""What push rules ask about a room (spec: client-server API, "Push Rules": conditions)."""

from __future__ import annotations

from dataclasses import dataclass, field

from palpo.core.errors import MatrixError
from palpo.core.power_levels import PowerLevels
from palpo.core.push_rules import RoomContext
from palpo.core.state_keys import CREATE
from palpo.db.engine import Database
from palpo.services.event_store import Bounded
from palpo.services.room_heads import RoomHead, RoomHeads
from palpo.storage import memberships

MAX_SENDERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PushRoom:
    """A room in one of its states."""

    state_root: bytes
    levels: PowerLevels
    member_count: int
    _contexts: dict[str, RoomContext] = field(default_factory=dict)

    def context(self, sender: str) -> RoomContext:
        """The context of an event by ``sender``."""
        found = self._contexts.get(sender)
        if found is None:
            if len(self._contexts) >= MAX_SENDERS:
                self._contexts.clear()
            found = self._contexts[sender] = RoomContext(
                member_count=self.member_count, sender_power=self.levels.user(sender), levels=self.levels
            )
        return found


class PushRooms:
    """Looks rooms up, and keeps each as long as its state stays the same."""

    def __init__(self, db: Database, heads: RoomHeads, *, cached: int = 10_000) -> None:
        self._db = db
        self._heads = heads
        self._rooms: Bounded[str, PushRoom] = Bounded(cached)

    async def get(self, head: RoomHead) -> PushRoom:
        """The room in its current state."""
        found = self._rooms.touch(head.room_id)
        if found is None or found.state_root != head.state_root:
            counts = await self._db.read(lambda tx: memberships.counts(tx, head.room_id))
            found = PushRoom(
                state_root=head.state_root,
                levels=await self._levels(head),
                member_count=counts.get("join", 0),
            )
            self._rooms.keep({head.room_id: found})
        return found

    async def _levels(self, head: RoomHead) -> PowerLevels:
        """The power levels in force; the default ones where a room's are malformed."""
        try:
            return await self._heads.power_levels(head)
        except MatrixError:
            create = (await self._heads.state(head, [CREATE])).get(CREATE)
            return PowerLevels.from_state(head.rules, create, None)
