"""Which events a user may see (spec: client-server API, "Room history visibility")."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from palpo.core.errors import NotFound
from palpo.core.events import redacted_kept
from palpo.core.identifiers import RoomId, UserId
from palpo.core.membership import JOIN
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.core.visibility import Sight, can_see
from palpo.services.history.erasures import Erasures
from palpo.services.history.event_store import EventStore
from palpo.services.history.retention import Retention
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.state_at import Pair, StateAt
from palpo.services.history.tokens import Order

FOREVER: Order = (2**62, 0)
"""After everything in a timeline."""
_NEVER: Order = (-1, 0)


class Visibility:
    """Leaves out of lists of events what a user may not see.

    As long as state does not change within a list, a list costs two look-ups in memory.
    """

    def __init__(
        self,
        store: EventStore,
        heads: RoomHeads,
        access: RoomAccess,
        erasures: Erasures,
        state_at: StateAt,
        retention: Retention | None = None,
    ) -> None:
        """``retention`` leaves out what is too old; None where nothing is."""
        self._retention = retention
        self._erasures = erasures
        self._store = store
        self._heads = heads
        self._access = access
        self._state_at = state_at

    async def visible(self, events: Sequence[StoredEvent], user_id: UserId) -> list[StoredEvent]:
        """Those of ``events`` that the user may see, in the same order.

        Events of erased users are pruned for who was not there when they were sent (spec: "Account
        deactivation").
        """
        if self._retention is not None:
            events = await self._retention.unexpired(events)
        memberships = await self._state_at.memberships(events, user_id)
        if all(before == JOIN for before, _ in memberships):
            return [item for item in events if item.status is EventStatus.ACCEPTED]
        visibilities = await self._state_at.visibilities(events)
        until: dict[str, Order] = {}
        kept: list[StoredEvent] = []
        absent: list[StoredEvent] = []
        for item, membership, visibility in zip(events, memberships, visibilities, strict=True):
            if item.status is not EventStatus.ACCEPTED:
                continue
            if not await self._sees(item, user_id, membership, visibility, until):
                continue
            kept.append(item)
            if JOIN not in membership:
                absent.append(item)
        return await self._without_erased(kept, absent, user_id) if absent else kept

    async def sees(self, item: StoredEvent, user_id: UserId) -> bool:
        """Whether a user may see one event."""
        return bool(await self.visible([item], user_id))

    async def get(self, room_id: RoomId, event_id: str, user_id: UserId) -> StoredEvent:
        """An event of a room that the user may see, and has not forgotten; raises NotFound."""
        found = await self._store.find(event_id)
        if found is None or found.event.room_id != room_id:
            raise NotFound("Event not found")
        seen = await self.visible([found], user_id)
        if not seen or await self._has_forgotten(found, user_id):
            raise NotFound("Event not found")
        return seen[0]

    async def _has_forgotten(self, item: StoredEvent, user_id: UserId) -> bool:
        """Whether an event is of a room that the user has left and forgotten, and not anybody's to read."""
        room_id = item.event.room_id
        if await self.is_in(room_id, user_id):
            return False
        member = await self._access.membership(room_id, user_id)
        if member is None or not member.forgotten:
            return False
        return "world_readable" not in (await self._state_at.visibilities([item]))[0]

    async def _sees(
        self, item: StoredEvent, user_id: UserId, membership: Pair, visibility: Pair, until: dict[str, Order]
    ) -> bool:
        sight = Sight(tuple(set(visibility)), tuple(set(membership)))
        if can_see(sight, joined_after=False):
            return True
        event = item.event
        if event.type == MEMBER and event.state_key == user_id:
            # Nobody is kept in the dark about themselves: a ban, or an invitation that is taken back.
            return True
        if "shared" not in visibility:
            return False
        room_id = event.room_id
        if room_id not in until:
            until[room_id] = await self.sees_until(room_id, user_id)
        return item.order < until[room_id]

    async def is_in(self, room_id: RoomId, user_id: UserId) -> bool:
        """Whether a user is in a room now."""
        return await self._heads.membership(await self._heads.get(room_id), user_id) == JOIN

    async def sees_until(self, room_id: RoomId, user_id: UserId) -> Order:
        """Where in a room's timeline the user last stopped being in it; after everything for members."""
        if await self.is_in(room_id, user_id):
            return FOREVER
        left = await self._access.last_leave(await self._access.membership(room_id, user_id))
        return _NEVER if left is None else left.order

    async def _without_erased(
        self, kept: list[StoredEvent], absent: Sequence[StoredEvent], user_id: UserId
    ) -> list[StoredEvent]:
        senders = {item.event.sender for item in absent} - {user_id}
        erased = await self._erasures.among(senders)
        pruned = {item.event_id: await self.pruned(item) for item in absent if item.event.sender in erased}
        return [pruned.get(item.event_id, item) for item in kept] if pruned else kept

    async def pruned(self, item: StoredEvent) -> StoredEvent:
        """An event as if it had been redacted."""
        rules = (await self._heads.get(item.event.room_id)).rules
        event = redacted_kept(rules, item.event)
        return msgspec.structs.replace(item, event=event, client=event.client)
