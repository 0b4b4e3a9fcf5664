"""Invites of users of this server to rooms of others (spec: server-server API, "Inviting to a room").

This server signs what another one has signed, so that the room's servers know that the user's own has seen
it. Where somebody of this server is in the room, its events tell the user of the invite; else it is kept
outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core import event_hashes
from palpo.core.errors import BadRequest, InvalidParam, NotFound
from palpo.core.events import SignedEvent, stripped
from palpo.core.identifiers import (
    EventId,
    RoomId,
    ServerName,
    UserId,
    as_room_id,
    is_user_id,
    server_name_of,
)
from palpo.core.membership import BAN, INVITE, LEAVE, Membership, membership_of
from palpo.core.room_versions import ROOM_VERSIONS, RoomVersion, room_version
from palpo.core.signing import SigningKey
from palpo.core.state_keys import MEMBER
from palpo.services.accounts.accounts import Accounts
from palpo.services.accounts.profiles import Profiles
from palpo.services.federation.events.received_events import ReceivedEvents, Refused
from palpo.services.federation.events.shown_state import ShownState
from palpo.services.history.outside_memberships import OutsideMemberships, signed
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.storage.outside_memberships import OutsideMembership


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedInvite:
    """An invite as another server sends it."""

    origin: ServerName
    room_id: RoomId
    event_id: EventId
    room_version: str
    pdu: dict[str, Any]
    shown: Sequence[Any]
    """The room's state as far as the user may know it."""


class ReceivedInvites:
    """Takes invites, and takes them back."""

    def __init__(
        self,
        server_name: ServerName,
        key: SigningKey,
        accounts: Accounts,
        profiles: Profiles,
        permissions: InvitePermissions,
        received: ReceivedEvents,
        shown: ShownState,
        outside: OutsideMemberships,
    ) -> None:
        self._server_name = server_name
        self._key = key
        self._accounts = accounts
        self._profiles = profiles
        self._permissions = permissions
        self._received = received
        self._shown = shown
        self._outside = outside

    async def receive(self, invite: ReceivedInvite) -> dict[str, Any]:
        """Have a user invited; the event with this server's signature.

        Raises BadRequest (M_INCOMPATIBLE_ROOM_VERSION), InvalidParam and BadJson for an event that is not
        what it should be, NotFound for unknown users, Forbidden (M_INVITE_BLOCKED), LimitExceeded.
        """
        rules = _rules(invite.room_version)
        event = await self._checked(rules, invite)
        user_id = UserId(event.state_key or "")
        await self._check_user(user_id)
        await self._permissions.check(user_id, event.sender)
        shown = await self._shown.stripped(rules, invite.room_id, invite.shown, refuse=True)
        shown = [piece for piece in shown if (piece["type"], piece["state_key"]) != event.key]
        await self._outside.put(rules, event, invite.origin, shown=[*shown, stripped(event)])
        return event_hashes.add_signature(rules, invite.pdu, self._server_name, self._key)

    async def end(self, pdu: Any) -> str | None:
        """Have an invite be over, or a knock, by an event of a room that is not here.

        The event's ID; None where it does not do that.

        The room's state cannot say who may do that. So an invite is taken back by who has made it, and a
        knock turned down by the server that it went through.
        """
        found = await self._about(pdu)
        if found is None:
            return None
        rules = room_version(found.room_version)
        (event,) = await self._received.check(rules, [pdu], room_id=found.room_id)
        if isinstance(event, Refused) or membership_of(event) not in (LEAVE, BAN):
            return None
        if not _may_end(signed(found), found.server_name, event):
            return None
        ended = await self._outside.put(rules, event, found.server_name, instead_of=found.event_id)
        return event.event_id if ended else None

    async def _about(self, pdu: Any) -> OutsideMembership | None:
        """The membership of a user of this server that an event may change."""
        if not isinstance(pdu, dict) or pdu.get("type") != MEMBER:
            return None
        room_id, user_id = as_room_id(pdu.get("room_id")), pdu.get("state_key")
        if room_id is None or not isinstance(user_id, str) or not is_user_id(user_id):
            return None
        if server_name_of(user_id) != self._server_name:
            return None
        return await self._outside.get(room_id, user_id)

    async def _checked(self, rules: RoomVersion, invite: ReceivedInvite) -> SignedEvent:
        """The event, if it is an invite of one of our users by one of theirs, signed by this server too."""
        if not event_hashes.verify_content_hash(invite.pdu):
            raise InvalidParam("The event's hash does not match its content")
        both = event_hashes.add_signature(rules, invite.pdu, self._server_name, self._key)
        (event,) = await self._received.check(rules, [both], room_id=invite.room_id)
        if isinstance(event, Refused):
            raise InvalidParam(f"The event cannot be taken: {event.error.message}")
        if event.event_id != invite.event_id:
            raise InvalidParam("The event has another ID than the path")
        if event.type != MEMBER or membership_of(event) is not INVITE:
            raise InvalidParam("That is no invite")
        if server_name_of(event.sender) != invite.origin:
            raise InvalidParam("The sender is no user of your server")
        if not is_user_id(event.state_key) or server_name_of(event.state_key or "") != self._server_name:
            raise InvalidParam("Who is invited is no user of this server")
        return event

    async def _check_user(self, user_id: UserId) -> None:
        await self._profiles.offer_unknown(user_id)
        account = await self._accounts.find(user_id)
        if account is None or account.deactivated:
            raise NotFound("There is no such user")


def _rules(version: str) -> RoomVersion:
    if version not in ROOM_VERSIONS:
        raise BadRequest(
            "This server does not know this version of rooms",
            errcode="M_INCOMPATIBLE_ROOM_VERSION",
            fields={"room_version": version[:255]},
        )
    return ROOM_VERSIONS[version]


def _may_end(current: SignedEvent, server: ServerName, event: SignedEvent) -> bool:
    if event.event_id in current.auth_events:  # It ended an earlier one, and comes late.
        return False
    match membership_of(current):
        case Membership.INVITE:
            return event.sender == current.sender
        case Membership.KNOCK:
            return server_name_of(event.sender) == server
    return False
