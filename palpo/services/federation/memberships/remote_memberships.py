"""What users of this server are to rooms that are not here, and users of others to rooms that are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from palpo.core.identifiers import RoomId, UserId
from palpo.core.membership import INVITE, JOIN, KNOCK, LEAVE
from palpo.core.records.events import StoredEvent
from palpo.core.room_versions import RoomVersion, room_version
from palpo.services.federation.events.templates import Wish
from palpo.services.federation.memberships.partial_joins import PartialJoins
from palpo.services.federation.memberships.remote_invites import RemoteInvites
from palpo.services.federation.memberships.remote_joins import RemoteJoins
from palpo.services.federation.memberships.remote_knocks import RemoteKnocks
from palpo.services.federation.memberships.remote_leaves import RemoteLeaves
from palpo.services.federation.memberships.whom_to_ask import WhomToAsk
from palpo.services.history import HistoryServices
from palpo.services.history.drafts import Draft
from palpo.streams.background import Background


class FederatedMemberships:
    """Knows which servers to ask, and has them asked (``rooms.remote_memberships``)."""

    def __init__(
        self,
        joins: RemoteJoins,
        partial_joins: PartialJoins,
        knocks: RemoteKnocks,
        leaves: RemoteLeaves,
        invites: RemoteInvites,
        whom: WhomToAsk,
        history: HistoryServices,
        background: Background,
    ) -> None:
        self._joins = joins
        self._partial_joins = partial_joins
        self._knocks = knocks
        self._leaves = leaves
        self._invites = invites
        self._outside = history.outside_memberships
        self._access = history.room_access
        self._heads = history.room_heads
        self._background = background
        self._whom = whom

    async def are_in(self, room_id: RoomId) -> bool:
        """Whether others are in a room; in memory for rooms that something happens in."""
        return await self._whom.anybody(room_id)

    async def join(
        self, user_id: UserId, room_id: RoomId, content: dict[str, Any], via: Sequence[str]
    ) -> bool:
        """Join through one of ``via``, or another server that may know the room."""
        wish = Wish(user_id=user_id, room_id=room_id, membership=JOIN, content=content)
        return await self._joins.join(wish, await self._whom.servers(wish, via))

    async def join_partial(self, user_id: UserId, room_id: RoomId, content: dict[str, Any]) -> bool:
        """Join through those in the room, the most powerful first."""
        wish = Wish(user_id=user_id, room_id=room_id, membership=JOIN, content=content)
        return await self._partial_joins.join(wish)

    async def knock(
        self, user_id: UserId, room_id: RoomId, content: dict[str, Any], via: Sequence[str]
    ) -> None:
        """Knock likewise."""
        wish = Wish(user_id=user_id, room_id=room_id, membership=KNOCK, content=content)
        await self._knocks.knock(wish, await self._whom.servers(wish, via))

    async def leave(self, user_id: UserId, room_id: RoomId, content: dict[str, Any]) -> bool:
        """Turn an invite down, or take a knock back; False where there is none."""
        member = await self._access.membership(room_id, user_id)
        if member is None or member.membership not in (INVITE, KNOCK):
            return False
        wish = Wish(user_id=user_id, room_id=room_id, membership=LEAVE, content=content)
        servers = await self._whom.servers(wish)
        await self._leaves.leave(wish, await self._rules(wish), servers, instead_of=member.event_id)
        return True

    def leave_all(self, user_id: UserId, room_ids: Iterable[RoomId]) -> None:
        """The same for several rooms, one after the other; nobody waits for it."""
        self._background.start("leave-elsewhere", self._leave_all(user_id, list(room_ids)))

    async def invite(self, room_id: RoomId, draft: Draft) -> StoredEvent:
        """Invite a user of another server to a room that is here."""
        return await self._invites.invite(room_id, draft)

    async def exchange(
        self, room_id: RoomId, sender: UserId, user_id: UserId, signed: dict[str, Any]
    ) -> None:
        """Have a pending invite of another server's user be turned into one of a user of this server."""
        await self._invites.exchange(room_id, sender, user_id, signed)

    async def _leave_all(self, user_id: UserId, room_ids: Iterable[RoomId]) -> None:
        for room_id in room_ids:
            await self.leave(user_id, room_id, {})

    async def _rules(self, wish: Wish) -> RoomVersion:
        """The room's, as far as they are known."""
        outside = await self._outside.get(wish.room_id, wish.user_id)
        if outside is not None:
            return room_version(outside.room_version)
        return (await self._heads.get(wish.room_id)).rules
