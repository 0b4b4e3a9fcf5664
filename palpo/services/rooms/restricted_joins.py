"""Joins by membership of another room (spec: client-server API, "Restricted rooms"; MSC3083)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from palpo.core.errors import BadRequest, Forbidden
from palpo.core.events import Event
from palpo.core.identifiers import RoomId, ServerName, UserId, server_name_of
from palpo.core.membership import BAN, INVITE, JOIN, membership_of
from palpo.core.power_levels import PowerLevels
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import JOIN_RULES, MEMBER
from palpo.db.engine import Database
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.storage import memberships as storage

AUTHORISER = "join_authorised_via_users_server"
MAX_ALLOWED = 1000
"""How many conditions of a join rule are looked at."""


class RestrictedJoins:
    """Decides whether a restricted join rule lets somebody in, and in whose name."""

    def __init__(
        self, db: Database, heads: RoomHeads, access: RoomAccess, *, server_name: ServerName
    ) -> None:
        self._db = db
        self._heads = heads
        self._access = access
        self._server_name = server_name

    async def vouching(self, head: RoomHead, user_id: UserId) -> dict[str, Any]:
        """What the join of a user of any server has to say besides, empty where nothing.

        Raises Forbidden, and BadRequest where another server may know or do more (spec: server-server API,
        "Restricted rooms"): M_UNABLE_TO_AUTHORISE_JOIN, M_UNABLE_TO_GRANT_JOIN.
        """
        allowed = await self._conditions(head, user_id)
        if allowed is None:
            return {}
        here = await self._db.read(lambda tx: storage.with_local_users(tx, allowed))
        if not await self.satisfied(user_id, here):
            if here.issuperset(allowed):
                raise Forbidden("The user is in none of the rooms whose members may join")
            raise BadRequest(
                "Who is in the rooms whose members may join is not known here",
                errcode="M_UNABLE_TO_AUTHORISE_JOIN",
            )
        authoriser = await self.authoriser(head)
        if authoriser is None:
            raise BadRequest("Nobody of this server can let the user in", errcode="M_UNABLE_TO_GRANT_JOIN")
        return {AUTHORISER: authoriser}

    async def _conditions(self, head: RoomHead, user_id: UserId) -> list[str] | None:
        """The rooms that a user has to be in one of; None where their join does not rest on that."""
        member_key = (MEMBER, user_id)
        state = await self._heads.state(head, [JOIN_RULES, member_key])
        if membership_of(state.get(member_key)) in (JOIN, INVITE, BAN):
            return None
        return allowed_rooms(head.rules, state.get(JOIN_RULES))

    async def satisfied(self, user_id: UserId, allowed: Iterable[str]) -> bool:
        """Whether a user is in one of the rooms."""
        joined = set(await self._db.read(lambda tx: storage.joined_rooms(tx, user_id)))
        return not joined.isdisjoint(allowed)

    async def authoriser(self, head: RoomHead) -> str | None:
        """A local user in the room who may invite."""
        levels = await self._heads.power_levels(head)
        for user_id in self._candidates(levels):
            if await self._access.is_joined(head.room_id, user_id):
                return user_id
        if levels.user("") < levels.invite:
            return None
        return await self._any_member(head.room_id, levels)

    def _candidates(self, levels: PowerLevels) -> list[UserId]:
        """Local users with a level of their own that suffices, the most powerful first."""
        named = {*levels.infinite, *levels.users}
        if levels.sole_creator is not None:
            named.add(levels.sole_creator)
        able = [
            user_id
            for user_id in map(UserId, named)
            if self._is_local(user_id) and levels.user(user_id) >= levels.invite
        ]
        return sorted(able, key=lambda user_id: (-levels.user(user_id), user_id))

    async def _any_member(self, room_id: RoomId, levels: PowerLevels) -> str | None:
        """A local user in a room in which everybody may invite but those whose level says otherwise."""
        enough = len(levels.users) + 1
        found = await self._db.read(lambda tx: storage.local_users_in_room(tx, room_id, enough))
        return next((user_id for user_id in found if levels.user(user_id) >= levels.invite), None)

    def _is_local(self, user_id: UserId) -> bool:
        return user_id.startswith("@") and ":" in user_id and server_name_of(user_id) == self._server_name


def allowed_rooms(rules: RoomVersion, join_rules: Event | None) -> list[str] | None:
    """The rooms whose members a join rule lets in; None where it is not a restricted one."""
    rule = None if join_rules is None else join_rules.content.get("join_rule")
    restricted = (rule == "restricted" and rules.restricted_joins) or (
        rule == "knock_restricted" and rules.knock_restricted_joins
    )
    if join_rules is None or not restricted:
        return None
    allow = join_rules.content.get("allow")
    conditions = allow[:MAX_ALLOWED] if isinstance(allow, list) else []
    rooms = (
        item.get("room_id")
        for item in conditions
        if isinstance(item, dict) and item.get("type") == "m.room_membership"
    )
    return [room_id for room_id in rooms if isinstance(room_id, str)]
