"""Reading and setting room state, and who is in a room.

Spec: client-server API, "Getting events for a room" and "Sending events to a room".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core.canonical_json import to_json
from palpo.core.errors import BadJson, Forbidden, NotFound
from palpo.core.events import StateKey
from palpo.core.identifiers import RoomId, UserId, parse_user_id
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import GUEST_ACCESS, MEMBER
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.accounts.appservices import AppServices
from palpo.services.accounts.sessions import Requester
from palpo.services.history.drafts import Draft, SendTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.guards import Same, unless_same
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.room_writer import RoomWriter
from palpo.services.history.tokens import parse_pagination_token
from palpo.services.rooms.aliases import CANONICAL_ALIAS, Aliases
from palpo.services.rooms.memberships import Memberships
from palpo.services.rooms.sending import check_ts
from palpo.services.rooms.shadow_bans import unseen
from palpo.storage import events as events_storage


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedMember:
    """What somebody in a room is called there."""

    display_name: str | None
    avatar_url: str | None


class RoomState:
    """The use cases of room state."""

    def __init__(
        self,
        db: Database,
        events: EventStore,
        heads: RoomHeads,
        access: RoomAccess,
        writer: RoomWriter,
        memberships: Memberships,
        aliases: Aliases,
        appservices: AppServices,
    ) -> None:
        self._db = db
        self._events = events
        self._heads = heads
        self._access = access
        self._writer = writer
        self._memberships = memberships
        self._aliases = aliases
        self._appservices = appservices

    async def all(self, user_id: UserId, room_id: RoomId) -> list[StoredEvent]:
        """The state of a room that a user may see; raises Forbidden."""
        root = await self._access.visible_root(room_id, user_id)
        return list((await self._events.full_state(root)).values())

    async def one(self, user_id: UserId, room_id: RoomId, type_: str, state_key: str) -> StoredEvent:
        """One piece of the state that a user may see; raises Forbidden, NotFound."""
        root = await self._access.visible_root(room_id, user_id)
        found = await self._events.state_event(root, type_, state_key)
        if found is None:
            raise NotFound("There is no such state in the room")
        return found

    async def put(
        self,
        requester: Requester,
        room_id: RoomId,
        key: StateKey,
        content: dict[str, Any],
        *,
        origin_server_ts: int | None = None,
        transaction: SendTransaction | None = None,
    ) -> str:
        """Set a piece of state; returns the event's ID, which is the current one's where nothing changes.

        Raises Forbidden, NotFound, BadJson, TooLarge, and M_BAD_ALIAS and InvalidParam for a canonical
        alias event.
        """
        type_, state_key = key
        if not type_:
            raise BadJson("An event has a type")
        check_ts(origin_server_ts)
        if type_ == "m.room.create":
            raise BadJson("A room has one create event")
        if type_ == MEMBER:
            return await self._memberships.set_state(
                requester,
                room_id,
                parse_user_id(state_key),
                content,
                origin_server_ts=origin_server_ts,
                transaction=transaction,
            )
        if type_ == CANONICAL_ALIAS and not state_key:
            head = await self._heads.get(room_id)
            await self._access.require_power(head, requester.user_id, type_)
            current = await self._heads.state_event(head, (type_, ""))
            await self._aliases.check_canonical(room_id, content, current)
        if requester.shadow_banned:
            return await unseen(self._heads, requester, room_id, to_json([type_, state_key, content]))
        draft = Draft(
            type=type_,
            sender=requester.user_id,
            state_key=state_key,
            content=content,
            origin_server_ts=origin_server_ts,
        )
        try:
            guard = unless_same(self._heads, draft)
            sent = await self._writer.send(room_id, draft, transaction=transaction, guard=guard)
            event_id = sent.event_id
        except Same as same:
            await self._access.require_member(room_id, requester.user_id)
            event_id = same.event_id
        if key == GUEST_ACCESS:
            # Also where nothing has changed: who set it may have been cut off just here.
            await self._memberships.remove_guests(room_id)
        return event_id

    async def members(
        self,
        user_id: UserId,
        room_id: RoomId,
        *,
        at: str | None = None,
        only: str | None = None,
        without: str | None = None,
    ) -> list[StoredEvent]:
        """The membership events of the state that a user may see, as it was at the token ``at``.

        ``only`` and ``without`` are memberships to look for and to leave out; where both are given,
        either suffices (spec: "GET /rooms/{roomId}/members"). Raises Forbidden, InvalidParam.
        """
        root = await self._access.visible_root(room_id, user_id)
        if at is not None:
            root = await self._root_at(user_id, room_id, at, root)
        state = await self._events.full_state(root, MEMBER)
        if only is None and without is None:
            return list(state.values())
        return [
            item
            for item in state.values()
            if (only is not None and item.event.content.get("membership") == only)
            or (without is not None and item.event.content.get("membership") != without)
        ]

    async def joined_members(self, requester: Requester, room_id: RoomId) -> dict[str, JoinedMember]:
        """Who is in a room, by user ID, for those who are in it; raises Forbidden.

        For an application service it suffices that any of its users is. Raises NotFound to it alone.
        """
        appservice = self._appservices.by_id(requester.appservice_id)
        if appservice is None:
            await self._access.require_member(room_id, requester.user_id)
        head = await self._heads.get(room_id)
        state = await self._events.full_state(head.state_root, MEMBER)
        joined = {
            key[1]: JoinedMember(
                display_name=_text(item.event.content.get("displayname")),
                avatar_url=_text(item.event.content.get("avatar_url")),
            )
            for key, item in state.items()
            if membership_of(item.event) == JOIN
        }
        if appservice is not None and not any(map(appservice.has_user, joined)):
            raise Forbidden("None of the application service's users is in the room")
        return joined

    async def _root_at(self, user_id: UserId, room_id: RoomId, at: str, newest: bytes) -> bytes:
        """The state at a token, but never one after that with the root ``newest``.

        Before the room began that is the state once its creator is in: nobody is in a room before, and
        clients ask with the ``prev_batch`` of a sync that gave them everything.
        """
        place = parse_pagination_token(at)

        async def find(tx: Transaction) -> Sequence[str]:
            if isinstance(place, int):
                last = await events_storage.last_id(tx, room_id, place)
                before = [] if last is None else [last]
            else:
                before = await events_storage.ids_before(tx, room_id, place.order, 1, upto=place.upto)
            return before or (await events_storage.ids_after(tx, room_id, (0, 0), 2))[-1:]

        found = await self._events.get_list(await self._db.read(find))
        if not found:
            return EMPTY_ROOT
        left = await self._access.last_leave(await self._access.membership(room_id, user_id))
        if left is not None and found[0].order > left.order:
            return newest
        known = (await self._heads.get(room_id)).row.is_whole_at(found[0].position)
        return found[0].room_state if isinstance(place, int) and known else found[0].state_after


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
