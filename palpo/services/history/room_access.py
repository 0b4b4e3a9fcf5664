"""Who may look into a room, and at which of its states."""

from __future__ import annotations

from palpo.core.errors import Forbidden, NotFound
from palpo.core.identifiers import RoomId, UserId
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import HISTORY_VISIBILITY, MEMBER
from palpo.core.visibility import visibility_of
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.storage import memberships as storage
from palpo.storage.memberships import Member

MAX_WALK = 100
"""How many changes of one membership are looked through for the last time that somebody was in a room."""


class RoomAccess:
    """Answers who may see what of a room (spec: client-server API, "Room history visibility")."""

    def __init__(self, db: Database, events: EventStore, heads: RoomHeads) -> None:
        self._db = db
        self._events = events
        self._heads = heads

    async def membership(self, room_id: RoomId, user_id: UserId) -> Member | None:
        """The user's latest membership of a room."""
        return await self._db.read(lambda tx: storage.get(tx, room_id, user_id))

    async def is_joined(self, room_id: RoomId, user_id: UserId) -> bool:
        """Whether a user is in a room."""
        member = await self.membership(room_id, user_id)
        return member is not None and member.membership == JOIN

    async def require_member(self, room_id: RoomId, user_id: UserId) -> None:
        """Raises Forbidden for those who are not in the room."""
        if not await self.is_joined(room_id, user_id):
            raise Forbidden("You are not in the room")

    async def require_power(self, head: RoomHead, user_id: UserId, event_type: str) -> None:
        """Raises Forbidden for those who are not in a room, or may not set state of a type there."""
        await self.require_member(head.room_id, user_id)
        levels = await self._heads.power_levels(head)
        if levels.user(user_id) < levels.event(event_type, is_state=True):
            raise Forbidden(f"That takes the power to set {event_type}")

    async def visible_root(self, room_id: RoomId, user_id: UserId) -> bytes:
        """The root of the newest state of the room that a user may see.

        The current state for members and where anybody may look; for those who were in the room, the
        state as they left it. Raises Forbidden, for unknown rooms too.
        """
        head = await self._known(room_id)
        member = await self.membership(room_id, user_id)
        if member is not None and member.membership == JOIN:
            return head.state_root
        if await self.world_readable(head):
            return head.state_root
        left = await self.last_leave(member)
        if left is None:
            raise Forbidden("You are not in the room, and were not before")
        return left.state_after

    async def last_leave(self, member: Member | None) -> StoredEvent | None:
        """The event by which somebody who is not in a room stopped being in it.

        None where they never were, or have forgotten the room.
        """
        if member is None or member.forgotten or member.membership == JOIN:
            return None
        return await self.left_by(member)

    async def left_by(self, member: Member) -> StoredEvent | None:
        """The same, in rooms that have been forgotten too; ``member`` is not in the room."""
        event_id = member.event_id
        for _ in range(MAX_WALK):
            found = await self._events.find(event_id)
            if found is None:
                return None
            before = await self._events.state_event(found.state_before, MEMBER, member.user_id)
            if before is None:
                return None
            if membership_of(before.event) == JOIN:
                return found
            event_id = before.event_id
        return None

    async def current_or_world_readable(self, room_id: RoomId, user_id: UserId) -> RoomHead:
        """The head of a room whose current state a user may see; raises Forbidden."""
        head = await self._known(room_id)
        if not await self.is_joined(room_id, user_id) and not await self.world_readable(head):
            raise Forbidden("You are not in the room")
        return head

    async def world_readable(self, head: RoomHead) -> bool:
        """Whether anybody may look into the room."""
        return visibility_of(await self._heads.state_event(head, HISTORY_VISIBILITY)) == "world_readable"

    async def _known(self, room_id: RoomId) -> RoomHead:
        try:
            return await self._heads.get(room_id)
        except NotFound:
            raise Forbidden("You are not in the room") from None
