"""Pending invites by address, turned into invites across servers.

    identity server ─▶ bound: the invited user's server ─▶ the room is here: invited
                                                         └▶ exchange: the inviting user's server ─▶ invited

Spec: server-server API, "Third-party invites".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from palpo.core.errors import BadJson, Forbidden, InvalidParam, MatrixError, NotFound
from palpo.core.identifiers import RoomId, ServerName, UserId, server_name_of
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import FederationError
from palpo.services.accounts.accounts import Accounts
from palpo.services.federation.memberships.remote_invites import ask_to_invite
from palpo.services.federation.servers.resident_rooms import ResidentRooms
from palpo.services.rooms.third_party_invites import ThirdPartyInvites
from palpo.streams.background import Background

MAX_INVITES = 20
"""Pending ones of one address that are looked at."""

log = structlog.get_logger("palpo.third_party_invites")


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingInvite:
    """An invite by address, and who can show that the address is theirs."""

    room_id: RoomId
    sender: UserId
    user_id: UserId
    """Who is to be invited."""
    signed: dict[str, Any]
    """What the identity server has signed: ``mxid``, ``token``, ``signatures``."""


class ThirdPartyExchanges:
    """Carries them out here, and has other servers do so."""

    def __init__(
        self,
        server_name: ServerName,
        accounts: Accounts,
        rooms: ResidentRooms,
        invites: ThirdPartyInvites,
        client: FederationClient,
        background: Background,
    ) -> None:
        self._server_name = server_name
        self._accounts = accounts
        self._rooms = rooms
        self._invites = invites
        self._client = client
        self._background = background

    async def exchange(self, origin: ServerName, invite: PendingInvite) -> None:
        """Invite a user of ``origin``, whom a user of this server has invited by address.

        Raises NotFound, BadJson, Forbidden, AuthError.
        """
        if server_name_of(invite.user_id) != origin:
            raise Forbidden("Who is invited is no user of your server")
        await self._invite(invite)

    async def bound(self, user_id: UserId, invites: Sequence[PendingInvite]) -> None:
        """Have a user of this server invited to whatever their address was; nobody waits for other servers.

        Raises InvalidParam, and NotFound for an unknown user.
        """
        if len(invites) > MAX_INVITES:
            raise InvalidParam(f"More than {MAX_INVITES} invites")
        account = await self._accounts.find(user_id)
        if server_name_of(user_id) != self._server_name or account is None or account.deactivated:
            raise NotFound("There is no such user")
        own = [invite for invite in invites if invite.user_id == user_id]
        if own:
            self._background.start("third-party-invites", self._accept_all(own))

    async def _accept_all(self, invites: Sequence[PendingInvite]) -> None:
        for invite in invites:
            try:
                await self._accept(invite)
            except (MatrixError, FederationError) as error:
                log.info("invite_failed", room_id=invite.room_id, error=str(error)[:200])

    async def _accept(self, invite: PendingInvite) -> None:
        try:
            await self._rooms.head(invite.room_id)
        except NotFound:
            await self._ask(invite)
        else:
            await self._invite(invite)

    async def _invite(self, invite: PendingInvite) -> None:
        _check(invite)
        await self._rooms.head(invite.room_id)
        if server_name_of(invite.sender) != self._server_name:
            raise Forbidden("Who invites is no user of this server")
        await self._invites.exchange(invite.room_id, invite.signed, sender=invite.sender)

    async def _ask(self, invite: PendingInvite) -> None:
        """Have the inviting user's server invite."""
        await ask_to_invite(self._client, invite.room_id, invite.sender, invite.user_id, invite.signed)


def _check(invite: PendingInvite) -> None:
    signed = invite.signed
    if signed.get("mxid") != invite.user_id:
        raise Forbidden("The invite is for somebody else")
    if not isinstance(signed.get("token"), str) or not isinstance(signed.get("signatures"), dict):
        raise BadJson("What is signed has mxid, token and signatures")
