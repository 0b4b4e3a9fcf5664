"""Invites to who is known by an address only (spec: client-server API, "Third-party invites").

find        to whom the address belongs, as an identity server says; they are invited as usual
offer       nobody: the identity server keeps the invite, and the room a pending one
accept      who can show that the address is theirs has the pending invite turned into their own
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urlencode

import msgspec
import structlog

from palpo.core.auth_rules.third_party import signing_keys
from palpo.core.bounded_text import check_text
from palpo.core.errors import BadJson, Forbidden, InvalidParam, MatrixError
from palpo.core.events import Event, StateKey
from palpo.core.identifiers import RoomId, ServerName, UserId, parse_user_id, server_name_of
from palpo.core.membership import INVITE, JOIN
from palpo.core.state_keys import CREATE, MEMBER
from palpo.net.http_client import HttpClient, HttpError
from palpo.services.accounts.identity_servers import IdentityServers, StoredInvite
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.sessions import Requester
from palpo.services.accounts.threepids import EMAIL, canonical_email
from palpo.services.history.drafts import Draft
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.services.history.room_writer import RoomWriter
from palpo.services.rooms.member_profiles import with_profile
from palpo.services.rooms.memberships import Memberships

THIRD_PARTY_INVITE = "m.room.third_party_invite"
MSISDN = "msisdn"
MAX_INVITES = 20
"""By address, with one request: each costs several requests to the identity server."""
MAX_VALIDITY_CHECKS = 4
VALIDITY_TIMEOUT_S = 10.0
MAX_VALIDITY_ANSWER = 16 * 1024
"""Bytes."""

TOLD: dict[str, tuple[StateKey, str]] = {
    "room_alias": (("m.room.canonical_alias", ""), "alias"),
    "room_avatar_url": (("m.room.avatar", ""), "url"),
    "room_join_rules": (("m.room.join_rules", ""), "join_rule"),
    "room_name": (("m.room.name", ""), "name"),
    "room_type": (CREATE, "type"),
}
"""What the message to the address may say of the room: where in its state each field comes from."""

log = structlog.get_logger("palpo.third_party_invites")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address, and the identity server to ask about it."""

    id_server: str
    access_token: str
    """Of the inviting user at the identity server."""
    medium: str
    address: str


class _Validity(msgspec.Struct, frozen=True):
    valid: bool


class _Settled(Exception):
    """The user is invited, or in the room."""


class ThirdPartyInvites:
    """Invites by address, and accepts such invites."""

    def __init__(
        self,
        heads: RoomHeads,
        writer: RoomWriter,
        memberships: Memberships,
        profiles: Profiles,
        identity_servers: IdentityServers,
        http: HttpClient,
        *,
        server_name: ServerName,
    ) -> None:
        self._heads = heads
        self._writer = writer
        self._memberships = memberships
        self._profiles = profiles
        self._identity_servers = identity_servers
        self._http = http
        self._server_name = server_name

    async def invite(
        self, requester: Requester, room_id: RoomId, address: Address, reason: str | None
    ) -> None:
        """Invite whoever has an address, or will have it.

        Raises NotFound, Forbidden, InvalidParam; BadRequest, M_SERVER_NOT_TRUSTED; Unavailable, and what
        the identity server answers.
        """
        head = await self._heads.get(room_id)
        await self._check_may_invite(head, requester.user_id)
        if requester.shadow_banned:
            return
        user_id = await self.find(address)
        if user_id is None:
            await self.offer(requester.user_id, room_id, address)
        else:
            await self._memberships.invite(requester, room_id, user_id, reason)

    async def find(self, address: Address) -> UserId | None:
        """To whom an address belongs, if anybody."""
        server, token = address.id_server, address.access_token
        return await self._identity_servers.lookup(server, token, address.medium, _canonical(address))

    async def find_all(self, addresses: Sequence[Address]) -> tuple[list[str], list[Address]]:
        """To whom addresses belong, and the addresses that are nobody's."""
        if len(addresses) > MAX_INVITES:
            raise InvalidParam(f"More than {MAX_INVITES} invites by address")
        found = [(address, await self.find(address)) for address in addresses]
        users = [user_id for _, user_id in found if user_id is not None]
        return list(dict.fromkeys(users)), [address for address, user_id in found if user_id is None]

    async def offer(self, sender: UserId, room_id: RoomId, address: Address) -> None:
        """Have the identity server keep an invite, and put a pending one into the room."""
        content = {
            **await self._told(room_id, sender),
            "medium": address.medium,
            "address": _canonical(address),
            "room_id": room_id,
            "sender": sender,
        }
        stored = await self._identity_servers.store_invite(address.id_server, address.access_token, content)
        draft = Draft(
            type=THIRD_PARTY_INVITE, sender=sender, state_key=stored.token, content=_pending_content(stored)
        )
        await self._writer.send(room_id, draft)

    async def offer_all(self, sender: UserId, room_id: RoomId, addresses: Sequence[Address]) -> None:
        """The same to several for a room that is there already, whatever becomes of each."""
        for address in addresses:
            try:
                await self.offer(sender, room_id, address)
            except MatrixError as error:
                log.info("invite_failed", room_id=room_id, error=error.message)

    async def accept(self, user_id: UserId, room_id: RoomId, signed: object) -> None:
        """Turn a pending invite into the user's own.

        ``signed`` is what the identity server signed: ``mxid``, ``sender``, ``token``, ``signatures``.
        Where another server's user invited, that server is asked to. What comes of it, and where no local
        user is in the room, the join is for other servers to judge. Raises BadJson, Forbidden.
        """
        proof = _proof(signed)
        sender = parse_user_id(proof["sender"])
        if proof["mxid"] != user_id:
            raise Forbidden("The third-party invite is for somebody else")
        remote = self._memberships.remote
        if server_name_of(sender) == self._server_name:
            if await self._memberships.is_resident(room_id):
                await self.exchange(room_id, proof)
        elif remote is not None:
            try:
                await remote.exchange(room_id, sender, user_id, proof)
            except MatrixError as error:
                log.info("exchange_refused", room_id=room_id, error=error.message)

    async def exchange(
        self, room_id: RoomId, signed: dict[str, Any], *, sender: UserId | None = None
    ) -> None:
        """Write the invite that a pending one, of ``sender``, becomes; raises NotFound, Forbidden, AuthError.

        ``signed`` has ``mxid``, ``token``, ``signatures`` and may have ``sender``. A user of another server
        is invited by way of that.
        """
        target = parse_user_id(signed["mxid"])
        head = await self._heads.get(room_id)
        pending = await self._heads.state_event(head, (THIRD_PARTY_INVITE, signed["token"]))
        if pending is None:
            raise Forbidden("There is no such third-party invite in the room")
        named = (sender or pending.sender, signed.get("sender", pending.sender))
        if any(name != pending.sender for name in named):
            raise Forbidden("The third-party invite is by somebody else")
        await self._check_keys(signed, pending)
        shown = {"display_name": pending.content.get("display_name", ""), "signed": signed}
        content: dict[str, Any] = {"membership": INVITE.value, "third_party_invite": shown}
        if server_name_of(target) == self._server_name:
            content = with_profile(content, await self._profiles.get(target))
        draft = Draft(type=MEMBER, sender=pending.sender, state_key=target, content=content)

        async def unless_settled(head: RoomHead) -> None:
            if await self._heads.membership(head, target) in (INVITE, JOIN):
                raise _Settled

        try:
            if server_name_of(target) == self._server_name:
                await self._writer.send(room_id, draft, guard=unless_settled)
            else:
                await unless_settled(head)
                await self._memberships.invite_elsewhere(room_id, draft)
        except _Settled:
            return

    async def _check_keys(self, signed: dict[str, Any], pending: Event) -> None:
        """A key of the pending invite signed it, and is still good as far as its server says."""
        for entry in islice(signing_keys(signed, pending.content), MAX_VALIDITY_CHECKS):
            if await self._is_valid(entry):
                return
        raise Forbidden("The third-party invite is not signed by a key that is valid")

    async def _is_valid(self, entry: dict[str, Any]) -> bool:
        url = entry.get("key_validity_url")
        if url is None:
            return True
        if not isinstance(url, str) or len(url) > 2048:
            return False
        query = urlencode({"public_key": entry["public_key"]})
        url = f"{url}{'&' if '?' in url else '?'}{query}"
        try:
            async with self._http.request("GET", url, timeout_s=VALIDITY_TIMEOUT_S) as response:
                body = await response.read(MAX_VALIDITY_ANSWER)
                return response.status == 200 and msgspec.json.decode(body, type=_Validity).valid
        except (HttpError, msgspec.DecodeError):
            return False

    async def _check_may_invite(self, head: RoomHead, user_id: UserId) -> None:
        """Before anybody writes to an address: the room would take the invite."""
        if await self._heads.membership(head, user_id) != JOIN:
            raise Forbidden("You are not in the room")
        levels = await self._heads.power_levels(head)
        if levels.user(user_id) < levels.invite:
            raise Forbidden("You may not invite to the room")

    async def _told(self, room_id: RoomId, sender: UserId) -> dict[str, str]:
        """What the message to the address may say of the room and of who invites."""
        head = await self._heads.get(room_id)
        state = await self._heads.state(head, [key for key, _ in TOLD.values()])
        profile = await self._profiles.get(sender)
        values: dict[str, object] = {
            "sender_display_name": profile.displayname,
            "sender_avatar_url": profile.avatar_url,
        }
        for name, (key, field) in TOLD.items():
            event = state.get(key)
            values[name] = None if event is None else event.content.get(field)
        return {name: value for name, value in values.items() if isinstance(value, str)}


def _canonical(address: Address) -> str:
    """The address as identity servers compare it; raises InvalidParam."""
    if address.medium == EMAIL:
        return canonical_email(address.address)
    if address.medium != MSISDN:
        raise InvalidParam("The medium of an address is email or msisdn")
    check_text(address.address, "address")
    if not address.address.isascii() or not address.address.isdigit():
        raise InvalidParam("A phone number is digits only")
    return address.address


def _pending_content(stored: StoredInvite) -> dict[str, Any]:
    keys = [msgspec.to_builtins(key) for key in stored.public_keys]
    return {"display_name": stored.display_name, **keys[0], "public_keys": keys}


def _proof(signed: object) -> dict[str, Any]:
    """What is signed, and nothing else; raises BadJson."""
    values = signed if isinstance(signed, dict) else {}
    texts = {name: values.get(name) for name in ("mxid", "sender", "token")}
    signatures = values.get("signatures")
    if not all(isinstance(value, str) for value in texts.values()) or not isinstance(signatures, dict):
        raise BadJson("third_party_signed has mxid, sender, token and signatures")
    return {**texts, "signatures": signatures}
