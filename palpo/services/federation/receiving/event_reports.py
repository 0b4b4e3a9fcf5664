"""What became of an event of another server, and why, for operators."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from palpo.core.canonical_json import decode_object
from palpo.core.errors import NotFound
from palpo.core.event_hashes import verify_content_hash
from palpo.core.events import SignedEvent, parse_pdu
from palpo.core.identifiers import ServerName
from palpo.core.records.events import Check, EventStatus
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.storage import event_refusals, inbound_pdus
from palpo.storage import events as events_storage
from palpo.storage.event_refusals import EventRefusal
from palpo.storage.inbound_pdus import InboundPdu


class Fate(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    SOFT_FAILED = "soft-failed"
    REJECTED = "rejected"
    OUTLIER = "outlier"
    """It is here because others rest on it, and was not judged by the room's states."""
    WAITS = "waits"
    REFUSED = "refused"
    """It was not even stored."""
    UNKNOWN = "not here"


FATES = {
    EventStatus.ACCEPTED: Fate.ACCEPTED,
    EventStatus.HIDDEN: Fate.ACCEPTED,
    EventStatus.SOFT_FAILED: Fate.SOFT_FAILED,
    EventStatus.REJECTED: Fate.REJECTED,
    EventStatus.OUTLIER: Fate.OUTLIER,
}
NOT_ACCEPTED = (Fate.SOFT_FAILED, Fate.REJECTED, Fate.REFUSED)
BEFORE_THE_RULES = (Check.FORM, Check.SIGNATURES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of one check."""

    check: Check
    passed: bool | None
    """None where it did not come to it, or where that is not known."""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """That an event cannot be judged yet."""

    tries: int
    next_ts: int
    """When it is tried again, in milliseconds since the Unix epoch."""
    missing: Sequence[str]
    """Those of the events that it refers to which are not in the room's history."""
    why: str | None
    """What came of it when they were sought last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReport:
    """What is known of an event. Of one that was refused, and is not here, only who sent it, and why."""

    event_id: str
    room_id: str
    fate: Fate
    origin: ServerName | None
    """Who has sent it, or was asked for it, if that is known."""
    noted_ts: int | None
    """When it last was refused, or first came if it waits, in milliseconds since the Unix epoch."""
    checks: Sequence[Looked]
    type: str | None = None
    state_key: str | None = None
    sender: str | None = None
    origin_server_ts: int | None = None
    is_content_whole: bool = True
    """False where the content hash is of something else: then it is kept as if it were redacted."""
    redacted_by: str | None = None
    was_refused: EventRefusal | None = None
    """Why an event was not accepted that is now."""
    prev_events: dict[str, Fate] | None = None
    auth_events: dict[str, Fate] | None = None
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class _Noted:
    """What the database has of some events, by ID."""

    statuses: dict[str, EventStatus]
    waiting: dict[str, InboundPdu]
    refusals: dict[str, EventRefusal]

    def fate(self, name: str) -> Fate:
        """Of one of them."""
        if name in self.statuses:
            return FATES[self.statuses[name]]
        if name in self.waiting:
            return Fate.WAITS
        return Fate.REFUSED if name in self.refusals else Fate.UNKNOWN


class EventReports:
    """Finds it out."""

    def __init__(self, db: Database, store: EventStore, heads: RoomHeads) -> None:
        self._db = db
        self._store = store
        self._heads = heads

    async def of(self, event_id: str) -> EventReport:
        """The report of an event; raises NotFound where nothing is known of it."""
        noted = await self._db.read(partial(_noted, names=[event_id]))
        refusal = noted.refusals.get(event_id)
        match noted.fate(event_id):
            case Fate.UNKNOWN:
                raise NotFound(f"{event_id} is not known here")
            case Fate.WAITS:
                return await self._waiting(noted.waiting[event_id], refusal)
            case Fate.REFUSED:
                assert refusal is not None
                return _refused(refusal)
            case fate:
                return await self._stored(event_id, fate, refusal)

    async def _stored(self, event_id: str, fate: Fate, refusal: EventRefusal | None) -> EventReport:
        item = await self._store.get(event_id)
        event = (await self._store.signed([event_id]))[event_id]
        pdus = await self._db.read(partial(events_storage.load_pdus, ids=[event_id]))
        others = await self._others(event)
        refused = refusal if fate in NOT_ACCEPTED else None
        return EventReport(
            event_id=event_id,
            room_id=event.room_id,
            fate=fate,
            origin=refusal.origin if refusal is not None else None,
            noted_ts=refusal.refused_ts if refusal is not None else None,
            checks=_checks(fate, refused),
            type=event.type,
            state_key=event.state_key,
            sender=event.sender,
            origin_server_ts=event.origin_server_ts,
            is_content_whole=verify_content_hash(decode_object(pdus[event_id])),
            redacted_by=item.redacted_by,
            was_refused=refusal if refused is None else None,
            prev_events=_named(others, event.prev_events),
            auth_events=_named(others, event.auth_events),
        )

    async def _waiting(self, row: InboundPdu, refusal: EventRefusal | None) -> EventReport:
        head = await self._heads.known(row.room_id)
        event = parse_pdu(head.rules, decode_object(row.pdu))
        others = await self._others(event)
        return EventReport(
            event_id=row.event_id,
            room_id=row.room_id,
            fate=Fate.WAITS,
            origin=row.origin,
            noted_ts=row.received_ts,
            checks=_checks(Fate.WAITS, None),
            type=event.type,
            state_key=event.state_key,
            sender=event.sender,
            origin_server_ts=event.origin_server_ts,
            was_refused=refusal,
            prev_events=_named(others, event.prev_events),
            auth_events=_named(others, event.auth_events),
            wait=Wait(tries=row.tries, next_ts=row.next_ts, missing=_missing(others, event), why=row.why),
        )

    async def _others(self, event: SignedEvent) -> _Noted:
        """What is noted of the events that an event refers to."""
        return await self._db.read(partial(_noted, names={*event.prev_events, *event.auth_events}))


async def _noted(tx: Transaction, names: Collection[str]) -> _Noted:
    return _Noted(
        await events_storage.statuses(tx, names),
        await inbound_pdus.named(tx, names),
        await event_refusals.find(tx, names),
    )


def _named(noted: _Noted, names: Sequence[str]) -> dict[str, Fate]:
    return {name: noted.fate(name) for name in names}


def _missing(noted: _Noted, event: SignedEvent) -> list[str]:
    """What keeps an event waiting: at those before it the state has to be known, of the others it has not."""
    here = {name for name, status in noted.statuses.items() if status is not EventStatus.OUTLIER}
    missing = [name for name in event.prev_events if name not in here]
    return missing + [name for name in event.auth_events if name not in noted.statuses]


def _refused(refusal: EventRefusal) -> EventReport:
    return EventReport(
        event_id=refusal.event_id,
        room_id=refusal.room_id,
        fate=Fate.REFUSED,
        origin=refusal.origin,
        noted_ts=refusal.refused_ts,
        checks=_checks(Fate.REFUSED, refusal),
    )


def _checks(fate: Fate, refusal: EventRefusal | None) -> list[Looked]:
    """What came of each check of an event that the ``refusal``, if there is one, is of."""
    checks = list(Check)
    if refusal is not None:
        at = checks.index(refusal.refused_by)
        return [
            *(Looked(check=check, passed=True) for check in checks[:at]),
            Looked(check=refusal.refused_by, passed=False, reason=refusal.reason),
            *(Looked(check=check, passed=None) for check in checks[at + 1 :]),
        ]
    known = {Fate.ACCEPTED: checks, Fate.WAITS: checks[:1]}.get(fate, BEFORE_THE_RULES)
    return [Looked(check=check, passed=True if check in known else None) for check in checks]
