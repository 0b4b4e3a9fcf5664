"""Joins, leaves and knocks that other servers send for their users, to rooms that are here.

    pdu ─▶ is it what is expected? ─▶ this server signs it too ─▶ signatures, rules ─▶ written, or refused

What the rules do not let in is not stored at all. Spec: server-server API, "Joining Rooms", "Knocking upon a
room", "Leaving Rooms".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from palpo.core import event_hashes, state_tree
from palpo.core.auth_rules import authorising_server
from palpo.core.errors import Forbidden, InvalidParam
from palpo.core.event_hashes import reference_hash
from palpo.core.events import SignedEvent
from palpo.core.identifiers import EventId, RoomId, ServerName, UserId, server_name_of
from palpo.core.membership import JOIN, LEAVE, Membership, membership_of
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.room_versions import RoomVersion
from palpo.core.signing import SigningKey
from palpo.core.state_keys import MEMBER
from palpo.services.federation.events.policy_servers import PolicyServers
from palpo.services.federation.events.received_events import ReceivedEvents, Refused
from palpo.services.federation.servers.resident_rooms import ResidentRooms
from palpo.services.history import HistoryServices
from palpo.services.history.admission import Admitted
from palpo.services.history.built import STRIPPED_TYPES
from palpo.services.history.room_heads import RoomHead
from palpo.services.rooms.restricted_joins import RestrictedJoins


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMembership:
    """A membership event that another server has sent, and that is in its room now."""

    rules: RoomVersion
    event: SignedEvent
    """With this server's signature."""
    stored: StoredEvent


class SentMemberships:
    """Takes them in."""

    def __init__(
        self,
        server_name: ServerName,
        key: SigningKey,
        history: HistoryServices,
        rooms: ResidentRooms,
        received: ReceivedEvents,
        restricted: RestrictedJoins,
        policies: PolicyServers,
    ) -> None:
        self._server_name = server_name
        self._key = key
        self._history = history
        self._rooms = rooms
        self._received = received
        self._restricted = restricted
        self._policies = policies

    async def take(
        self,
        origin: ServerName,
        room_id: RoomId,
        event_id: EventId,
        pdu: dict[str, Any],
        membership: Membership,
    ) -> SentMembership:
        """Have a user of ``origin`` be what they want to be; the same event again changes nothing.

        Raises NotFound for rooms that no user of this server is in, InvalidParam and BadJson for an event
        that is not what it should be, Forbidden for one that the room does not let in.
        """
        head = await (self._rooms.head if membership is LEAVE else self._rooms.whole)(room_id)
        event = await self._checked(head.rules, room_id, pdu)
        _check(event, origin, event_id, membership)
        if membership is JOIN and authorising_server(head.rules, event) == self._server_name:
            await self._restricted.vouching(head, UserId(event.sender))
        event = (await self._policies.countersigned(head, [event]) or [event])[0]
        written = await self._history.room_writer.admit(room_id, partial(self._build, event))
        stored = written[-1] if written else await self._repeated(head.rules, event)
        return SentMembership(rules=head.rules, event=event, stored=stored)

    async def shown(self, knock: SentMembership) -> list[bytes]:
        """What who has knocked is shown of the room: events as JSON, the create event among them."""
        keys = [(type_, "") for type_ in STRIPPED_TYPES]
        events = self._history.events
        ids = await events.read_state(state_tree.get_many(knock.stored.state_before, keys))
        return list((await events.pdus(ids.values())).values())

    async def _checked(self, rules: RoomVersion, room_id: RoomId, pdu: dict[str, Any]) -> SignedEvent:
        """The event, once its form and its signatures are found to be right, signed by this server too."""
        if not event_hashes.verify_content_hash(pdu):
            raise InvalidParam("The event's hash does not match its content")
        signed = event_hashes.add_signature(rules, pdu, self._server_name, self._key)
        (checked,) = await self._received.check(rules, [signed], room_id=room_id)
        if isinstance(checked, Refused):
            raise InvalidParam(f"The event cannot be taken: {checked.error.message}")
        return checked

    async def _build(self, event: SignedEvent, head: RoomHead) -> Admitted:
        built = await self._history.admission.build(head, [event])
        if built.missing is not None:
            raise InvalidParam("The event refers to events that are not known here")
        if any(new.status is not EventStatus.ACCEPTED for new in built.events):
            raise Forbidden("The room does not permit this")
        built.relay()
        return built

    async def _repeated(self, rules: RoomVersion, event: SignedEvent) -> StoredEvent:
        """The event as it was taken before."""
        events = self._history.events
        known = (await events.signed([event.event_id]))[event.event_id]
        if reference_hash(rules, known.pdu) != reference_hash(rules, event.pdu):
            raise InvalidParam("There is another event with this ID")
        stored = await events.get(event.event_id)
        if stored.status is not EventStatus.ACCEPTED:
            raise Forbidden("The room does not permit this")
        return stored


def _check(event: SignedEvent, origin: ServerName, event_id: EventId, membership: Membership) -> None:
    """Raises InvalidParam for any other event than this membership of a user of ``origin``."""
    if event.event_id != event_id:
        raise InvalidParam("The event has another ID than the path")
    if event.type != MEMBER or membership_of(event) is not membership:
        raise InvalidParam(f"That is no {membership.value} event")
    if event.state_key != event.sender:
        raise InvalidParam("The event is not about its sender")
    if server_name_of(event.sender) != origin:
        raise InvalidParam("The sender is no user of your server")
