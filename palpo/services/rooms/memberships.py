"""Joining, inviting, leaving, kicking, banning, knocking (spec: client-server API, "Room membership").

Every change goes through ``change``, whichever endpoint asks for it: it makes the content that such an
event has to have, and writes it on a head that it has looked at.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from msgspec.structs import replace

from palpo.core.canonical_json import to_json
from palpo.core.errors import AuthError, BadJson, BadRequest, Forbidden, InvalidParam, MatrixError, NotFound
from palpo.core.identifiers import RoomId, UserId, server_name_of
from palpo.core.membership import BAN, INVITE, JOIN, KNOCK, LEAVE, Membership, as_membership, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import GUEST_ACCESS, MEMBER
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.sessions import Requester
from palpo.services.history import HistoryServices
from palpo.services.history.drafts import Draft, Guard, SendTransaction
from palpo.services.history.guards import Same, unless_same
from palpo.services.history.room_heads import RoomHead
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.rooms.member_profiles import PROFILE_KEYS, with_profile
from palpo.services.rooms.remote_memberships import RemoteMemberships
from palpo.services.rooms.restricted_joins import RestrictedJoins
from palpo.services.rooms.room_succession import RoomSuccession
from palpo.services.rooms.shadow_bans import unseen
from palpo.services.server import Server
from palpo.storage import accounts
from palpo.storage import memberships as storage
from palpo.streams import topics

AUTHORISER = "join_authorised_via_users_server"
FOR_OTHERS = ("M_UNABLE_TO_AUTHORISE_JOIN", "M_UNABLE_TO_GRANT_JOIN")
"""Errors by which a join is one that other servers have to judge."""
PRESENT = (JOIN, INVITE, KNOCK)
"""The memberships that end with a leave, and whose events carry their user's display name and avatar."""

Expectation = Callable[[Membership | None], None]
"""Looks at the target's membership, None where there is none; raises to refuse the change."""

LeaveCheck = Callable[[UserId, RoomId], Awaitable[None]]
"""``(user, room)``: raises where the user may not leave the room by themselves."""


class _Unchanged(Exception):
    """The membership is what it should become."""


class Memberships:
    """The use cases of room membership."""

    def __init__(
        self,
        server: Server,
        history: HistoryServices,
        profiles: Profiles,
        restricted: RestrictedJoins,
        succession: RoomSuccession,
        invite_permissions: InvitePermissions,
        leave_checks: Iterable[LeaveCheck],
        *,
        remote: RemoteMemberships | None = None,
    ) -> None:
        """``leave_checks`` may refuse that somebody leaves a room, or rejects an invite."""
        self._db = server.db
        self._heads = history.room_heads
        self._writer = history.room_writer
        self._blocked = history.blocked_rooms
        self._profiles = profiles
        self._server_name = server.name
        self._restricted = restricted
        self._succession = succession
        self._invite_permissions = invite_permissions
        self._leave_checks = leave_checks
        self.remote = remote
        """What takes over where a room or a user is another server's; None where there is none."""

    async def join(
        self, requester: Requester, room_id: RoomId, content: dict[str, Any], *, via: tuple[str, ...] = ()
    ) -> None:
        """Join a room; ``content`` is what the event says besides. Joined already: nothing happens.

        Where it is not here, or nobody here can let the user in, through one of the servers ``via``, or
        others that may do.
        """
        if requester.shadow_banned:
            return
        try:
            while not await self._join_here(requester, room_id, content):
                if await self._join_elsewhere(requester, room_id, content, via):
                    break
        except _Unchanged:
            return
        await self._succession.joined(requester.user_id, room_id)

    async def _join_here(self, requester: Requester, room_id: RoomId, content: dict[str, Any]) -> bool:
        """Whether it can be done here."""
        if not await self._is_here(room_id):
            return False
        try:
            await self.change(requester, room_id, requester.user_id, JOIN, content, expect=_unless_joined)
        except BadRequest as error:
            if error.errcode not in FOR_OTHERS:
                raise
            if self.remote is None or not await self.remote.are_in(room_id):
                raise Forbidden(error.message) from error
            return False
        return True

    async def _join_elsewhere(
        self, requester: Requester, room_id: RoomId, content: dict[str, Any], via: tuple[str, ...]
    ) -> bool:
        """False where another user has joined meanwhile, so that it may be done here now."""
        await self._blocked.check(room_id)
        if self.remote is None:
            raise NotFound("The room is not known to this server")
        if requester.is_guest:
            raise Forbidden("Guests cannot join rooms of other servers", errcode="M_GUEST_ACCESS_FORBIDDEN")
        user_id = requester.user_id
        content = await self._own(user_id, content)
        return await self.remote.join(user_id, room_id, content, via)

    async def knock(
        self, requester: Requester, room_id: RoomId, reason: str | None, *, via: tuple[str, ...] = ()
    ) -> None:
        """Ask to be invited to a room."""
        if requester.shadow_banned:
            return
        if not await self._is_here(room_id):
            await self._blocked.check(room_id)
            if self.remote is None:
                raise NotFound("The room is not known to this server")
            content = await self._own(requester.user_id, _reason(reason))
            await self.remote.knock(requester.user_id, room_id, content, via)
            return
        await self.change(requester, room_id, requester.user_id, KNOCK, _reason(reason))

    async def invite(
        self,
        requester: Requester,
        room_id: RoomId,
        target: UserId,
        reason: str | None,
        *,
        is_direct: bool = False,
    ) -> None:
        """Invite somebody."""
        if requester.shadow_banned:
            return
        content = _reason(reason) | ({"is_direct": True} if is_direct else {})
        await self.change(requester, room_id, target, INVITE, content)

    async def leave(self, requester: Requester, room_id: RoomId, reason: str | None) -> None:
        """Leave a room, or reject an invite, or take a knock back. Left already: nothing happens."""
        user_id = requester.user_id
        if self.remote is not None and not await self._is_here(room_id):
            for check in self._leave_checks:
                await check(user_id, room_id)
            if await self.remote.leave(user_id, room_id, _reason(reason)):
                return
        try:
            await self.change(requester, room_id, user_id, LEAVE, _reason(reason), expect=_unless_left)
        except _Unchanged:
            return

    async def kick(self, requester: Requester, room_id: RoomId, target: UserId, reason: str | None) -> None:
        """Make somebody leave."""
        if requester.shadow_banned:
            return
        content = _reason(reason)
        await self.change(requester, room_id, target, LEAVE, content, expect=_can_be_kicked)

    async def ban(self, requester: Requester, room_id: RoomId, target: UserId, reason: str | None) -> None:
        """Ban somebody, in the room or not."""
        if requester.shadow_banned:
            return
        await self.change(requester, room_id, target, BAN, _reason(reason))

    async def unban(self, requester: Requester, room_id: RoomId, target: UserId, reason: str | None) -> None:
        """Lift a ban; raises M_BAD_STATE where there is none."""
        if requester.shadow_banned:
            return
        content = _reason(reason)
        await self.change(requester, room_id, target, LEAVE, content, expect=_is_banned)

    async def forget(self, user_id: UserId, room_id: RoomId) -> None:
        """Leave a room that the user has left out of everything they are shown.

        Raises M_UNKNOWN (400) where they have not left it.
        """

        async def unit(tx: WriteTransaction) -> str | None:
            # The position's lock keeps out whoever is inviting the user at this moment.
            await tx.positions()
            member = await storage.get(tx, room_id, user_id)
            if member is not None and member.membership in (LEAVE, BAN):
                await storage.forget(tx, room_id, user_id)
                tx.notify(topics.USER, user_id)
                return None
            return "You were never in the room" if member is None else "You have not left the room"

        refusal = await self._db.write(unit)
        if refusal is not None:
            raise BadRequest(refusal, errcode="M_UNKNOWN")

    async def joined_rooms(self, user_id: UserId) -> list[str]:
        """The rooms that a user is in."""
        return await self._db.read(lambda tx: storage.joined_rooms(tx, user_id))

    async def mutual_rooms(self, user_id: UserId, other: UserId) -> list[str]:
        """The rooms that both users are in, in order."""
        return await self._db.read(lambda tx: storage.mutual_rooms(tx, user_id, other))

    async def set_state(
        self,
        requester: Requester,
        room_id: RoomId,
        target: UserId,
        content: dict[str, Any],
        *,
        origin_server_ts: int | None = None,
        transaction: SendTransaction | None = None,
    ) -> str:
        """Write a membership that a client gives in full; returns the event's ID.

        Raises BadJson, and what ``change`` raises.
        """
        membership = as_membership(content.get("membership"))
        if membership is None:
            raise BadJson("There is no membership in the content")
        if requester.shadow_banned and (membership != LEAVE or target != requester.user_id):
            return await unseen(self._heads, requester, room_id, to_json([target, content]))
        draft = await self._draft(requester, room_id, target, membership, content)
        draft = replace(draft, origin_server_ts=origin_server_ts)
        before = await self._heads.membership(await self._heads.get(room_id), target)
        guard = self._for_guests(requester, draft, unless_same(self._heads, draft))
        try:
            sent = await self._send(room_id, draft, guard, transaction)
        except Same as same:
            return same.event_id
        if membership == JOIN and before != JOIN:
            await self._succession.joined(target, room_id)
        return sent.event_id

    async def change(
        self,
        requester: Requester,
        room_id: RoomId,
        target: UserId,
        membership: Membership,
        content: dict[str, Any],
        *,
        expect: Expectation | None = None,
    ) -> StoredEvent:
        """Write a membership event by ``requester`` about ``target``.

        Raises Forbidden and AuthError, NotFound for an unknown room, and what ``expect`` raises.
        """
        draft = await self._draft(requester, room_id, target, membership, content)
        guard = self._for_guests(requester, draft, self._guard(target, expect))
        return await self._send(room_id, draft, guard)

    async def _draft(
        self,
        requester: Requester,
        room_id: RoomId,
        target: UserId,
        membership: Membership,
        content: dict[str, Any],
    ) -> Draft:
        sender = requester.user_id
        head = await self._heads.get(room_id)
        content = {key: value for key, value in content.items() if key != AUTHORISER}
        content["membership"] = membership.value
        if membership == KNOCK and not head.rules.knocking:
            raise Forbidden(f"Nobody can knock at rooms of version {head.rules.id}")
        if membership in PRESENT:
            await self._blocked.check(room_id)
        if membership == INVITE:
            await self._profiles.offer_unknown(target)
        if membership in PRESENT:
            content = await self._with_profile(sender, target, content)
        joins = membership == JOIN and sender == target
        if joins and not await self._joined_elsewhere(head, target, content):
            content |= await self._restricted.vouching(head, target)
        return Draft(type=MEMBER, sender=sender, state_key=target, content=content)

    async def _joined_elsewhere(self, head: RoomHead, user_id: UserId, content: dict[str, Any]) -> bool:
        """Whether somebody has let a user into a room of which members are missing here."""
        if self.remote is None or not head.row.is_partial:
            return False
        if await self._heads.membership(head, user_id) is JOIN:
            return False
        said = {key: value for key, value in content.items() if key != "membership"}
        if not await self.remote.join_partial(user_id, head.room_id, said):
            return False
        await self._succession.joined(user_id, head.room_id)
        return True

    async def _send(
        self, room_id: RoomId, draft: Draft, guard: Guard | None, transaction: SendTransaction | None = None
    ) -> StoredEvent:
        target = UserId(draft.state_key or "")
        left = draft.content["membership"] == LEAVE and target == draft.sender
        if left:
            for check in self._leave_checks:
                await check(target, room_id)
        invite = draft.content["membership"] == INVITE
        if not invite or server_name_of(target) == self._server_name:
            if invite:
                await self._invite_permissions.check(target, draft.sender)
            return await self._writer.send(room_id, draft, transaction=transaction, guard=guard)
        return await self.invite_elsewhere(room_id, draft)

    async def invite_elsewhere(self, room_id: RoomId, draft: Draft) -> StoredEvent:
        """Write an invite of another server's user, which that server signs; raises MatrixError."""
        if self.remote is None:
            raise Forbidden("Users of other servers cannot be invited: this server does not federate")
        return await self.remote.invite(room_id, draft)

    async def remove_guests(self, room_id: RoomId) -> None:
        """Let this server's guests leave a room if it takes none (any more; spec: "Guest Access")."""
        if await self._takes_guests(await self._heads.get(room_id)):
            return
        for user_id in await self._db.read(lambda tx: storage.guests_in_room(tx, room_id)):
            draft = Draft(type=MEMBER, sender=user_id, state_key=user_id, content={"membership": LEAVE.value})
            try:
                await self._writer.send(room_id, draft, guard=self._guard(user_id, _is_joined))
            except _Unchanged:
                continue

    async def user_gone(self, user_id: UserId) -> None:
        """Let a user whose account was deactivated leave every room, decline invites, take knocks back."""
        elsewhere: list[RoomId] = []
        for row in await self._db.read(lambda tx: storage.of_user(tx, user_id)):
            if row.membership in (INVITE, KNOCK) and not await self._is_here(row.room_id):
                elsewhere.append(row.room_id)
                continue
            draft = Draft(type=MEMBER, sender=user_id, state_key=user_id, content={"membership": LEAVE.value})
            try:
                await self._writer.send(row.room_id, draft, guard=self._guard(user_id, _is_there))
            except (AuthError, _Unchanged):
                continue
        if self.remote is not None:
            self.remote.leave_all(user_id, elsewhere)

    async def refresh_profile(self, user_id: UserId, key: str) -> None:
        """Tell every room that a local user is in about their display name or avatar, ``key``.

        The other one stays: it may be one that they chose for that room.
        """
        account = await self._db.read(lambda tx: accounts.find(tx, user_id))
        if account is not None and account.shadow_banned:
            return
        profile = await self._profiles.get(user_id)
        for room_id in await self.joined_rooms(user_id):
            head = await self._heads.get(room_id)
            current = await self._heads.state_event(head, (MEMBER, user_id))
            if current is None or membership_of(current) != JOIN:
                continue
            kept = {name: value for name, value in current.content.items() if name != AUTHORISER}
            content = with_profile(kept, profile, keys=(key,))
            if content == current.content:
                continue
            draft = Draft(type=MEMBER, sender=user_id, state_key=user_id, content=content)
            try:
                await self._writer.send(room_id, draft, guard=self._guard(user_id, _is_joined))
            except (AuthError, _Unchanged):
                continue

    async def _own(self, user_id: UserId, content: dict[str, Any]) -> dict[str, Any]:
        """What a user's own join or knock says, with their profile."""
        content = {key: value for key, value in content.items() if key != AUTHORISER}
        return await self._with_profile(user_id, user_id, content)

    async def _with_profile(self, sender: UserId, target: UserId, content: dict[str, Any]) -> dict[str, Any]:
        """Fill in the profile of a local user, where the content does not say it itself."""
        if any(key in content for key in PROFILE_KEYS) or server_name_of(target) != self._server_name:
            return content
        return with_profile(content, await self._profiles.get(target, asking=sender))

    def _for_guests(self, requester: Requester, draft: Draft, guard: Guard | None) -> Guard | None:
        """``guard``, and where a guest joins that the room takes guests at that very moment."""
        if not requester.is_guest or draft.content["membership"] != JOIN:
            return guard

        async def both(head: RoomHead) -> None:
            if guard is not None:
                await guard(head)
            if not await self._takes_guests(head):
                raise Forbidden("Guests may not join the room", errcode="M_GUEST_ACCESS_FORBIDDEN")

        return both

    async def _takes_guests(self, head: RoomHead) -> bool:
        event = await self._heads.state_event(head, GUEST_ACCESS)
        return event is not None and event.content.get("guest_access") == "can_join"

    def _guard(self, target: UserId, expect: Expectation | None) -> Guard | None:
        if expect is None:
            return None

        async def guard(head: RoomHead) -> None:
            expect(await self._heads.membership(head, target))

        return guard

    async def is_resident(self, room_id: RoomId) -> bool:
        """Whether any local user is in the room."""
        return bool(await self._db.read(lambda tx: storage.local_users_in_room(tx, room_id, 1)))

    async def _is_here(self, room_id: RoomId) -> bool:
        """Whether what happens in a room is known here: one that only others are in now goes on elsewhere."""
        try:
            await self._heads.get(room_id)
        except NotFound:
            return False
        if self.remote is None or not await self.remote.are_in(room_id):
            return True
        return await self.is_resident(room_id)


def _reason(reason: str | None) -> dict[str, Any]:
    if reason is not None and "\0" in reason:
        raise InvalidParam("The reason has U+0000 in it")
    return {} if reason is None else {"reason": reason}


def _unless_joined(current: Membership | None) -> None:
    if current == JOIN:
        raise _Unchanged


def _is_joined(current: Membership | None) -> None:
    if current != JOIN:
        raise _Unchanged


def _is_there(current: Membership | None) -> None:
    if current not in PRESENT:
        raise _Unchanged


def _unless_left(current: Membership | None) -> None:
    if current == LEAVE:
        raise _Unchanged


def _can_be_kicked(current: Membership | None) -> None:
    if current not in PRESENT:
        raise Forbidden("The user is not in the room")


def _is_banned(current: Membership | None) -> None:
    if current != BAN:
        raise MatrixError("The user is not banned", status=403, errcode="M_BAD_STATE")
