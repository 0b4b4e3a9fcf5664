"""What administrators do in rooms that they need not be in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core.errors import BadRequest, InvalidParam, MatrixError, NotFound
from palpo.core.events import Event
from palpo.core.identifiers import RoomAlias, RoomId, ServerName, UserId, server_name_of
from palpo.core.membership import INVITE, JOIN
from palpo.core.power_levels import CREATOR, PowerLevels
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import JOIN_RULES, POWER_LEVELS
from palpo.db.engine import Database
from palpo.services.accounts.accounts import Accounts
from palpo.services.accounts.sessions import Requester
from palpo.services.history import HistoryServices
from palpo.services.history.built import Built
from palpo.services.history.drafts import Draft
from palpo.services.history.room_heads import RoomHead
from palpo.services.rooms.aliases import Aliases
from palpo.services.rooms.memberships import Memberships
from palpo.storage import blocked_rooms as blocked_storage
from palpo.storage import memberships as memberships_storage
from palpo.storage.blocked_rooms import BlockedRoom

ALL = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Extremity:
    """An event that nothing refers to yet."""

    event: StoredEvent
    depth: int


class RoomAdministration:
    """Acts in rooms on behalf of whoever may, and sees to who may enter."""

    def __init__(
        self,
        db: Database,
        server_name: ServerName,
        history: HistoryServices,
        accounts: Accounts,
        memberships: Memberships,
        aliases: Aliases,
    ) -> None:
        self._db = db
        self._server_name = server_name
        self._events = history.events
        self._heads = history.room_heads
        self._writer = history.room_writer
        self._builder = history.room_builder
        self._blocked = history.blocked_rooms
        self._accounts = accounts
        self._memberships = memberships
        self._aliases = aliases

    async def resolve(self, room: RoomId | RoomAlias) -> tuple[RoomId, list[str]]:
        """A room that is named by its ID or an alias, and servers that are in it; raises NotFound."""
        return await self._aliases.room_and_servers(room)

    async def members(self, room_id: RoomId) -> list[str]:
        """Who is in a room; raises NotFound."""
        await self._heads.get(room_id)
        return await self._db.read(lambda tx: memberships_storage.users_in_room(tx, room_id))

    async def blocked(self, room_id: str) -> BlockedRoom | None:
        """Who has blocked a room, if anybody has."""
        return await self._db.read(lambda tx: blocked_storage.get(tx, room_id))

    async def set_blocked(self, room_id: str, by: str, *, blocked: bool) -> None:
        """Let users of this server join a room, or not; it need not be here."""
        if blocked:
            await self._blocked.block(room_id, by)
        else:
            await self._blocked.unblock(room_id)

    async def join(self, admin: Requester, room: RoomId | RoomAlias, user_id: UserId) -> RoomId:
        """Have a user of this server join a room, invited by the administrator where that takes one.

        Raises InvalidParam for users of others, NotFound, and what joining raises.
        """
        await self._check_local(user_id)
        room_id, servers = await self.resolve(room)
        if not await self._is_open(room_id) and not await self._is_in(room_id, user_id, (JOIN, INVITE)):
            await self._memberships.invite(admin, room_id, user_id, None)
        await self._memberships.join(Requester(user_id=user_id), room_id, {}, via=tuple(servers))
        return room_id

    async def make_admin(self, room: RoomId | RoomAlias, user_id: UserId) -> None:
        """Give a user as much power in a room as any user of this server has who is in it.

        Who is not in the room is invited, unless anybody may join. Raises BadRequest where nobody here has
        the power to.
        """
        await self._check_local(user_id)
        room_id, _ = await self.resolve(room)
        head = await self._heads.get(room_id)
        levels = await self._heads.power_levels(head)
        by = await self._most_powerful(head, levels)
        if not await self._is_in(room_id, user_id, (JOIN, INVITE)) and not await self._is_open(room_id):
            await self._memberships.invite(Requester(user_id=by), room_id, user_id, None)
        level = _grantable(levels, by)
        if levels.user(user_id) >= level:
            return
        current = await self._heads.state_event(head, POWER_LEVELS)
        content = _with_level(current, levels, user_id, level)
        await self._send_by(
            by, room_id, Draft(type=POWER_LEVELS[0], sender=by, state_key="", content=content)
        )

    async def extremities(self, room: RoomId | RoomAlias) -> list[Extremity]:
        """The events of a room that nothing refers to yet; raises NotFound."""
        room_id, _ = await self.resolve(room)
        head = await self._heads.get(room_id)
        found = await self._events.get_list(head.row.extremities)
        pdus = await self._events.signed([item.event_id for item in found])
        return [Extremity(event=item, depth=pdus[item.event_id].depth) for item in found]

    async def merge_extremities(self, room: RoomId | RoomAlias) -> int:
        """Have one event refer to all of them; how many are gone.

        None is thrown away: the state that each leads to counts in the room's. Raises NotFound, and
        BadRequest where nobody here may send to the room.
        """
        room_id, _ = await self.resolve(room)
        before = left = await self._ends(room_id)
        while left > 1:
            try:
                await self._writer.admit(room_id, self._merged)
            except MatrixError as error:
                raise BadRequest(error.message, errcode="M_UNKNOWN") from error
            last, left = left, await self._ends(room_id)
            if left >= last:
                break
        return max(0, before - left)

    async def _ends(self, room_id: RoomId) -> int:
        return len((await self._heads.get(room_id)).row.extremities)

    async def _merged(self, head: RoomHead) -> Built:
        return await self._builder.merge(head, "", most=1)

    async def _send_by(self, by: UserId, room_id: RoomId, draft: Draft) -> None:
        try:
            await self._writer.send(room_id, draft)
        except MatrixError as error:
            raise BadRequest(f"{by} may not do that: {error.message}", errcode="M_UNKNOWN") from error

    async def _check_local(self, user_id: UserId) -> None:
        if server_name_of(user_id) != self._server_name:
            raise InvalidParam("This is only for users of this server")
        account = await self._accounts.find(user_id)
        if account is None or account.deactivated:
            raise NotFound("User not found")

    async def _is_in(self, room_id: RoomId, user_id: UserId, wanted: Sequence[str]) -> bool:
        member = await self._db.read(lambda tx: memberships_storage.get(tx, room_id, user_id))
        return member is not None and member.membership in wanted

    async def _is_open(self, room_id: RoomId) -> bool:
        """Whether anybody may join a room, as far as is known here."""
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return True
        event = await self._heads.state_event(head, JOIN_RULES)
        return event is not None and event.content.get("join_rule") == "public"

    async def _most_powerful(self, head: RoomHead, levels: PowerLevels) -> UserId:
        """The user here with most power who is in the room."""
        room_id = head.room_id
        local = await self._db.read(lambda tx: memberships_storage.local_users_in_room(tx, room_id, ALL))
        if not local:
            raise BadRequest("Nobody of this server is in the room", errcode="M_UNKNOWN")
        best = max(sorted(local), key=levels.user)
        if levels.user(best) < levels.event(POWER_LEVELS[0], is_state=True):
            raise BadRequest("Nobody of this server has the power to give any", errcode="M_UNKNOWN")
        return UserId(best)


def _grantable(levels: PowerLevels, by: str) -> int:
    """The most that ``by`` may give: their own, or, if that is a creator's, enough for everything."""
    own = levels.user(by)
    if own < CREATOR:
        return own
    named = [levels.event(type_, is_state=True) for type_ in levels.events]
    return max(100, *named, *(levels.user(user) for user in levels.users if user not in levels.infinite))


def _with_level(current: Event | None, levels: PowerLevels, user_id: str, level: int) -> dict[str, Any]:
    content = {} if current is None else dict(current.content)
    users = dict(levels.users)
    if levels.sole_creator is not None:
        users.setdefault(levels.sole_creator, 100)
    return {**content, "users": {**users, user_id: level}}
