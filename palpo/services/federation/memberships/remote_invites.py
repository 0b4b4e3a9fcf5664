"""Invites of other servers' users to rooms that are here: their servers sign them first.

    draft ─▶ event on the room's head ─▶ /invite of the user's server ─▶ signed by both ─▶ admitted

The room goes on meanwhile: the invite is judged again when it is written, and may be too late by then.
Spec: server-server API, "Inviting to a room".
"""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import quote

import msgspec

from palpo.core.errors import Forbidden
from palpo.core.events import SignedEvent
from palpo.core.identifiers import RoomId, ServerName, UserId, server_name_of
from palpo.core.membership import INVITE
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.room_versions import RoomVersion
from palpo.core.signed_objects import signed_event
from palpo.core.state_keys import MEMBER
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import FederationError, ServerError
from palpo.services.federation.events.policy_servers import PolicyServers
from palpo.services.federation.keys.keyring import Keyring
from palpo.services.federation.keys.signatures import with_signatures
from palpo.services.federation.servers.remote_answers import read, told
from palpo.services.history import HistoryServices
from palpo.services.history.admission import Admitted
from palpo.services.history.built import STRIPPED_TYPES
from palpo.services.history.drafts import Draft
from palpo.services.history.room_heads import RoomHead

TIMES = Times(whole_s=30.0, connect_s=10.0, idle_s=30.0)
ANSWER_BYTES = 256 * 1024
OLD_VERSIONS = ("1", "2")
"""The room versions that the first version of the endpoint is for."""


class _Answer(msgspec.Struct, frozen=True):
    event: dict[str, Any]


class RemoteInvites:
    """Has them signed, and writes them."""

    def __init__(
        self,
        client: FederationClient,
        keyring: Keyring,
        policies: PolicyServers,
        history: HistoryServices,
    ) -> None:
        self._client = client
        self._keyring = keyring
        self._policies = policies
        self._events = history.events
        self._heads = history.room_heads
        self._builder = history.room_builder
        self._admission = history.admission
        self._writer = history.room_writer

    async def invite(self, room_id: RoomId, draft: Draft) -> StoredEvent:
        """Write the invite that a draft is, once the invited user's server has signed it.

        Raises NotFound, AuthError; what the server answers where it refuses; Forbidden where the room does
        not allow the invite any more.
        """
        head = await self._heads.get(room_id)
        event = (await self._builder.extend(head, [draft], {})).events[-1].event
        event = (await self._policies.countersigned(head, [event]) or [event])[0]
        server = server_name_of(event.state_key or "")
        try:
            answer = await self._ask(server, head, event)
        except FederationError as error:
            raise told(error) from error
        signed = await self._signed(head.rules, event, server, answer)
        written = await self._writer.admit(room_id, partial(self._build, signed))
        if not written or written[-1].status is not EventStatus.ACCEPTED:
            raise Forbidden("The room does not allow the invite any more")
        return written[-1]

    async def exchange(
        self, room_id: RoomId, sender: UserId, user_id: UserId, signed: dict[str, Any]
    ) -> None:
        """Have the server of who has invited an address, ``sender``, invite a user of this one.

        ``signed`` is what the identity server has signed. Raises what the server answers, and NotFound.
        """
        try:
            await ask_to_invite(self._client, room_id, sender, user_id, signed)
        except FederationError as error:
            raise told(error) from error

    async def _build(self, signed: SignedEvent, head: RoomHead) -> Admitted:
        built = await self._admission.build(head, [signed])
        built.relay()
        return built

    async def _ask(self, server: ServerName, head: RoomHead, event: SignedEvent) -> _Answer:
        path = f"invite/{quote(event.room_id, safe='')}/{quote(event.event_id, safe='')}"
        shown = await self._shown(head, event)
        body = {"room_version": head.rules.id, "event": event.pdu, "invite_room_state": shown}
        try:
            return await self._put(server, f"/_matrix/federation/v2/{path}", body)
        except ServerError as error:
            if error.status not in (400, 404) or head.rules.id not in OLD_VERSIONS:
                raise
        old = {**event.pdu, "unsigned": {"invite_room_state": shown}}
        return await self._put(server, f"/_matrix/federation/v1/{path}", old)

    async def _put(self, server: ServerName, path: str, body: Any) -> _Answer:
        async with self._client.request(
            server, "PUT", path, content=body, limit=ANSWER_BYTES, times=TIMES
        ) as answer:
            return await read(answer, _Answer)

    async def _shown(self, head: RoomHead, event: SignedEvent) -> list[dict[str, Any]]:
        """What the invited user may know of the room, as servers exchange it (MSC4311)."""
        keys = [*((type_, "") for type_ in STRIPPED_TYPES), (MEMBER, event.sender)]
        state = await self._heads.state(head, keys)
        signed = await self._events.signed(item.event_id for item in state.values())
        return [item.pdu for item in signed.values()]

    async def _signed(
        self, rules: RoomVersion, event: SignedEvent, server: ServerName, answer: _Answer
    ) -> SignedEvent:
        """The same event with the server's signature, of which nothing else is taken; raises MatrixError."""
        signed = with_signatures(rules, event, answer.event, server)
        (wrong,) = await self._keyring.verify([signed_event(rules, signed.pdu, server)])
        if wrong is not None:
            raise wrong
        return signed


async def ask_to_invite(
    client: FederationClient, room_id: RoomId, sender: UserId, user_id: UserId, signed: dict[str, Any]
) -> None:
    """Ask the server of ``sender`` to turn a pending invite of theirs into one of ``user_id``.

    Spec: server-server API, "Third-party invites". Raises FederationError.
    """
    content = {"membership": INVITE.value, "third_party_invite": {"display_name": "", "signed": signed}}
    await client.json(
        server_name_of(sender),
        "PUT",
        f"/_matrix/federation/v1/exchange_third_party_invite/{quote(room_id, safe='')}",
        content={
            "type": MEMBER,
            "room_id": room_id,
            "sender": sender,
            "state_key": user_id,
            "content": content,
        },
        limit=ANSWER_BYTES,
        times=TIMES,
    )
