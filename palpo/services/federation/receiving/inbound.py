"""Events that other servers send: checked, judged, written; what cannot be judged yet waits.

    transaction ─▶ by room, ACL ─▶ format, signatures, hash ─▶ judged and written ─▶ answered
                                                             └▶ what is missing ─▶ staging ─▶ gaps

What can be said of each event alone is found out for all rooms at once; then rooms go side by side, and the
events of one in their order. Nobody waits for the network here, but a room for keys: what rests on what is
missing is stored, answered, and sought afterwards (``gaps``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palpo.core.errors import MatrixError, NotFound
from palpo.core.event_format import is_event_id
from palpo.core.event_hashes import event_id_of
from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.identifiers import RoomId, ServerName, is_room_id
from palpo.core.missing import in_order
from palpo.core.records.events import Check, Refusal
from palpo.core.room_versions import RoomVersion
from palpo.core.signed_objects import KeyUnavailable
from palpo.services.federation.events.incoming_events import IncomingEvents
from palpo.services.federation.events.pdu_log import PduLog
from palpo.services.federation.events.received_events import Checked, ReceivedEvents, Refused
from palpo.services.federation.memberships.joining_rooms import JoiningRooms
from palpo.services.federation.receiving.gaps import Gaps
from palpo.services.federation.receiving.staging import Staging
from palpo.services.federation.servers.resident_rooms import ResidentRooms
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.services.federation.serving.received_invites import ReceivedInvites
from palpo.services.history.room_heads import RoomHead
from palpo.streams.task_group import together

TOO_MANY = "Too many events wait already"
BEFORE_ITSELF = "The event comes before itself"

Errors = dict[str, str | None]
"""What is answered, by event ID: None where nothing is wrong."""


@dataclass(slots=True)
class _Arrived:
    """What a transaction has for one room."""

    head: RoomHead
    pdus: Sequence[Any]
    checked: Sequence[Checked] | None = None
    """None until the keys for them have been fetched."""
    fresh: Collection[str] = ()
    """Events that were not here a moment ago."""


@dataclass(slots=True, kw_only=True)
class _Received:
    """The events of one room in one transaction."""

    rules: RoomVersion
    good: list[SignedEvent] = field(default_factory=list)
    unproved: list[SignedEvent] = field(default_factory=list)
    """Those with signatures for which no key can be had now."""
    errors: Errors = field(default_factory=dict)
    refused: dict[str, Refusal] = field(default_factory=dict)
    """Those that are neither stored nor wait, as far as their IDs can be told."""

    def refuse(self, event_id: str, refusal: Refusal) -> None:
        """Note one."""
        self.errors[event_id] = refusal.reason
        self.refused[event_id] = refusal


class Inbound:
    """Takes them in."""

    def __init__(
        self,
        rooms: ResidentRooms,
        acls: ServerAcls,
        invites: ReceivedInvites,
        received: ReceivedEvents,
        incoming: IncomingEvents,
        staging: Staging,
        gaps: Gaps,
        joining: JoiningRooms,
    ) -> None:
        self._rooms = rooms
        self._acls = acls
        self._invites = invites
        self._received = received
        self._incoming = incoming
        self._staging = staging
        self._gaps = gaps
        self._joining = joining
        joining.deliver_to(lambda origin, pdus: self.receive(origin, "", pdus))

    async def receive(self, origin: ServerName, transaction_id: str, pdus: Iterable[Any]) -> Errors:
        """Take in what a transaction has; what is wrong with each event whose ID is known."""
        rooms: dict[RoomId, list[Any]] = {}
        for pdu in pdus:
            if isinstance(pdu, Mapping) and is_room_id(room_id := pdu.get("room_id")):
                rooms.setdefault(room_id, []).append(pdu)
        log = PduLog(origin, transaction_id)
        errors: Errors = {}
        arrived: dict[RoomId, _Arrived] = {}
        for room_id, some in rooms.items():
            head = await self._head(origin, room_id, some, log)
            if isinstance(head, RoomHead):
                arrived[room_id] = _Arrived(head, some)
            else:
                errors |= head
        await self._look_at(arrived)
        for found in await together(self._in_room(origin, item, log) for item in arrived.values()):
            errors |= found
        return errors

    async def _head(
        self, origin: ServerName, room_id: RoomId, pdus: Sequence[Any], log: PduLog
    ) -> RoomHead | Errors:
        """The room as it is here; what is wrong with the events where they are not taken into it."""
        try:
            head = await self._rooms.head(room_id)
            await self._acls.check(room_id, origin)
        except NotFound as error:
            if self._joining.hold(origin, room_id, pdus):
                return {}
            return await self._outside(pdus, error.message, log)
        except MatrixError as error:
            return _all_refused(pdus, error.message, log)
        return head

    async def _look_at(self, arrived: Mapping[RoomId, _Arrived]) -> None:
        """Check the events of all rooms at once, as far as that needs nobody else, and see which are new."""
        here = {room_id: (item.head.rules, item.pdus) for room_id, item in arrived.items()}
        checked = await self._received.check_here(here)
        events = (each for some in checked.values() for each in some if isinstance(each, SignedEvent))
        fresh = await self._incoming.fresh(event.event_id for event in events)
        for room_id, items in checked.items():
            arrived[room_id].checked, arrived[room_id].fresh = items, fresh

    async def _in_room(self, origin: ServerName, item: _Arrived, log: PduLog) -> Errors:
        head, room_id = item.head, item.head.room_id
        if item.checked is None:
            item.checked = await self._received.check(head.rules, item.pdus, room_id=room_id)
        received = await self._sorted(head, item.checked, log)
        waiting = await self._judge(origin, room_id, received, item.fresh, log)
        await self._stage(origin, room_id, waiting, received, log)
        for name, refusal in received.refused.items():
            log.refused(room_id, name, refusal)
        await self._staging.refused(origin, room_id, received.refused)
        return received.errors

    async def _outside(self, pdus: Sequence[Any], error: str, log: PduLog) -> Errors:
        """Of a room that is not here only that is taken by which an invite, say, is over."""
        refused: list[Any] = []
        errors: Errors = {}
        for pdu in pdus:
            if (event_id := await self._invites.end(pdu)) is None:
                refused.append(pdu)
            else:
                errors[event_id] = None
        return errors | _all_refused(refused, error, log)

    async def _sorted(self, head: RoomHead, checked: Iterable[Checked], log: PduLog) -> _Received:
        """What is said of each event by whoever has looked at it alone."""
        received = _Received(rules=head.rules)
        given: dict[str, SignedEvent] = {}
        for item in checked:
            if isinstance(item, SignedEvent):
                given.setdefault(item.event_id, item)
            else:
                _note_refused(received, item, log)
        impostors = await self._incoming.impostors(head.rules, list(given.values()))
        received.good = in_order(event for name, event in given.items() if name not in impostors)
        received.errors |= dict.fromkeys(event.event_id for event in received.good)
        for name in given.keys() - received.errors.keys():
            received.refuse(name, Refusal(Check.FORM, impostors.get(name, BEFORE_ITSELF)))
        return received

    async def _judge(
        self,
        origin: ServerName,
        room_id: RoomId,
        received: _Received,
        fresh: Collection[str],
        log: PduLog,
    ) -> list[SignedEvent]:
        """Write what can be judged; the others."""
        if not received.good:
            return []
        told_by = dict.fromkeys((event.event_id for event in received.good), origin)
        try:
            taken = await self._incoming.take(room_id, received.good, fresh=fresh, told_by=told_by)
        except MatrixError as error:
            # The room moves too fast, say: it will calm down.
            log.failed(room_id, error)
            known = await self._incoming.known(room_id, (event.event_id for event in received.good))
            return [event for event in received.good if event.event_id not in known]
        log.written(room_id, taken.written, taken.refusals)
        await self._staging.grown(room_id, [item.event_id for item in taken.written])
        return [event for event in received.good if event.event_id in taken.waiting]

    async def _stage(
        self,
        origin: ServerName,
        room_id: RoomId,
        waiting: Sequence[SignedEvent],
        received: _Received,
        log: PduLog,
    ) -> None:
        waiting = [*waiting, *received.unproved]
        if not waiting:
            return
        refused = await self._staging.put(origin, room_id, waiting)
        for event in waiting:
            name = event.event_id
            received.errors[name] = None
            if name in refused:
                received.refuse(name, Refusal(Check.STATE_BEFORE, TOO_MANY))
            else:
                log.waits(room_id, name)
        self._gaps.begin(room_id, [event.event_id for event in waiting])


def _all_refused(pdus: Sequence[Any], error: str, log: PduLog) -> Errors:
    """The same for all: those are named that say themselves what they are called (room versions 1 and 2)."""
    names = [name for pdu in pdus if is_event_id(name := pdu.get("event_id"))]
    if pdus:
        log.refused_all(len(pdus), error)
    return dict.fromkeys(names, error)


def _note_refused(received: _Received, refused: Refused, log: PduLog) -> None:
    try:
        if isinstance(refused.error, KeyUnavailable):
            received.unproved.append(parse_pdu(received.rules, refused.pdu))
            return
        name = event_id_of(received.rules, refused.pdu)
    except MatrixError:
        log.refused_all(1, refused.error.message)
        return
    received.refuse(name, refused.refusal)
