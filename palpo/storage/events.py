"""Events as they are stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, delete, or_, select, update

from palpo.core.auth_chains import Position
from palpo.core.canonical_json import decode_canonical, decode_object, to_json
from palpo.core.events import SignedEvent, StateKey, kept_event, parse_stored, redacted_event
from palpo.core.identifiers import ServerName
from palpo.core.records.events import EventStatus, Refusal, StoredEvent
from palpo.core.room_versions import room_version
from palpo.db.statements import Statement, in_list, insert_row
from palpo.db.tables.rooms import event_relations, event_transactions, events, rooms
from palpo.db.transaction import Row, Transaction, WriteTransaction
from palpo.storage import auth_chains
from palpo.storage.records import Records
from palpo.storage.windows import newest, oldest, within
from palpo.streams import topics

e = events.c
t = event_transactions.c


class MadeBy(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Which request made an event."""

    event_id: str
    hash: bytes
    """What makes the request the same request (16 bytes)."""
    device_id: str | None
    transaction_id: str
    delay_id: str | None = None
    """Of the delayed event that it was, if it was one (MSC4140)."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event on its way in, with the states around it."""

    event: SignedEvent
    place: int
    """Where it stands in the room's timeline."""
    state_before: bytes
    state_after: bytes
    room_state: bytes
    status: EventStatus = EventStatus.ACCEPTED
    refusal: Refusal | None = None
    """Why it was not accepted."""
    told_by: ServerName | None = None
    """The server that has sent it, or was asked for it, where that is noted."""
    missing: tuple[str, ...] = ()
    """Those of the events before it that are not here."""
    past: int = 0
    """Its position, below 0, where it is no news."""
    stored: bool = False
    """Whether it is stored already, as an outlier."""
    elsewhere: bool = False
    """Whether another server has sent it."""
    relayed: bool = False
    """Whether this server tells others of it all the same: who has sent it has come in by this one."""
    may_redact_others: bool = True
    """Whether its sender may redact events of other servers' users, if it is a redaction."""

    @property
    def outgoing(self) -> bool:
        """Whether this server tells others of it."""
        return self.relayed or not self.elsewhere

    @property
    def is_plain(self) -> bool:
        """Whether it is a message that a user of this server has just sent: most are."""
        before = self.state_before
        return (
            not (self.elsewhere or self.stored or self.missing or self.past)
            and self.event.state_key is None
            and self.status is EventStatus.ACCEPTED
            and before == self.state_after
            and before == self.room_state
        )


class Rejudged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event that was judged again over other states, and is shown, or not, as before."""

    event_id: str
    room_id: str
    status: EventStatus
    state_before: bytes
    state_after: bytes
    refusal: Refusal | None = None
    """Why it is not shown."""


LOOKED_AT = 100
NOWHERE = 0
"""The position of what is not news: an event that was not accepted, or not yet."""
_COLUMNS = (
    e.event_id,
    e.position,
    e.place,
    e.state_before,
    e.state_after,
    e.room_state,
    e.redacted_by,
    e.status,
    e.after_gap,
    e.pdu,
    rooms.c.version,
)


_LOAD = Statement(
    select(*_COLUMNS).join(rooms, rooms.c.room_id == e.room_id).where(in_list(e.event_id, "ids"))
)
_PDUS = Statement(select(e.event_id, e.pdu).where(in_list(e.event_id, "ids")))
_STATUSES = Statement(select(e.event_id, e.status).where(in_list(e.event_id, "ids")))
_STATE_KEYS = Statement(
    select(e.event_id, e.room_id, e.type, e.state_key, e.status).where(
        in_list(e.event_id, "ids"), e.state_key.is_not(None)
    )
)
_INSERT = insert_row(events)
_INSERT_PLAIN = insert_row(
    events,
    fixed={
        "state_key": None,
        "status": EventStatus.ACCEPTED.value,
        "after_gap": 0,
        "outgoing": 1,
        "redacted_by": None,
        "chain": None,
        "chain_seq": None,
    },
    same={"state_after": "state_before", "room_state": "state_before"},
)
"""Of an event that is plain (``NewEvent.is_plain``): each value that is sent costs time on every database."""
_OLD_TRANSACTIONS = {
    delayed: Statement(
        select(t.transaction_hash)
        .where(
            t.created_ts < bindparam("before"),
            t.delay_id.is_not(None) if delayed else t.delay_id.is_(None),
        )
        .order_by(t.created_ts)
        .limit(bindparam("limit"))
    )
    for delayed in (False, True)
}
_FORGET_TRANSACTIONS = Statement(delete(event_transactions).where(in_list(t.transaction_hash, "hashes")))
_JUDGE = Statement(
    update(events)
    .where(e.event_id == bindparam("id"))
    .values(
        {
            name: bindparam(name)
            for name in (
                "position",
                "place",
                "state_before",
                "state_after",
                "room_state",
                "status",
                "after_gap",
                "outgoing",
            )
        }
    )
)
_REJUDGE = Statement(
    update(events)
    .where(e.event_id == bindparam("id"))
    .values({name: bindparam(name) for name in ("state_before", "state_after", "status")})
)
_INSERT_TRANSACTION = insert_row(event_transactions)
_INSERT_RELATION = insert_row(event_relations)
_FIND_TRANSACTIONS = Statement(
    select(t.transaction_hash, t.event_id).where(in_list(t.transaction_hash, "hashes"))
)
_MADE = Records(MadeBy, event_transactions, hash=t.transaction_hash)
_TRANSACTIONS_OF = Statement(select(*_MADE.columns).where(in_list(t.event_id, "ids")))
_REDACT = Statement(
    update(events).where(e.event_id == bindparam("target")).values(redacted_by=bindparam("redaction"))
)
_DELETE_RELATION = Statement(delete(event_relations).where(event_relations.c.event_id == bindparam("target")))
_VISIBLE = e.status == EventStatus.ACCEPTED.value
_IN_ROOM = e.room_id == bindparam("room_id")
_TIMELINE = select(e.event_id).where(_IN_ROOM, _VISIBLE)
_LATEST = newest(_TIMELINE, e.position)
_LATEST_POSITIONS = Statement(
    select(e.event_id, e.position)
    .where(_IN_ROOM, _VISIBLE, e.position > 0, e.position <= bindparam("upto"))
    .order_by(e.position.desc())
    .limit(bindparam("limit"))
)
_REDACTED_POSITIONS = Statement(
    select(e.position).where(_IN_ROOM, within(e.position), e.redacted_by.is_not(None))
)
_REDACTIONS = newest(_TIMELINE.where(e.type == "m.room.redaction"), e.position)
_SENT_BY = newest(_TIMELINE.where(e.sender == bindparam("sender")), e.position)
_BEFORE = Statement(
    _TIMELINE.where(
        # The index is read from here, which an "or" alone does not lead to.
        e.place <= bindparam("place"),
        or_(e.place < bindparam("place"), e.position <= bindparam("position")),
        e.position <= bindparam("upto"),
    )
    .order_by(e.place.desc(), e.position.desc())
    .limit(bindparam("limit"))
)
_AFTER = Statement(
    _TIMELINE.where(
        e.place >= bindparam("place"),
        or_(e.place > bindparam("place"), e.position > bindparam("position")),
    )
    .order_by(e.place, e.position)
    .limit(bindparam("limit"))
)
_LAST = Statement(
    _TIMELINE.where(e.position > 0, e.position <= bindparam("upto")).order_by(e.position.desc()).limit(1)
)
_latest = (
    select(e.place, e.position)
    .where(
        _IN_ROOM,
        _VISIBLE,
        e.position <= bindparam("next"),
        # Where the next event follows a gap, what is found for that stands before it.
        or_(e.position < bindparam("next"), e.after_gap == 1),
    )
    .order_by(e.position.desc())
    .limit(LOOKED_AT)
    .subquery()
)
_ORDER_AT = Statement(
    select(_latest.c.place, _latest.c.position)
    .order_by(_latest.c.place.desc(), _latest.c.position.desc())
    .limit(1)
)
_FROM_TIME = Statement(
    _TIMELINE.where(e.origin_server_ts >= bindparam("ts"))
    .order_by(e.origin_server_ts, e.place, e.position)
    .limit(bindparam("limit"))
    .offset(bindparam("skipped"))
)
_UNTIL_TIME = Statement(
    _TIMELINE.where(e.origin_server_ts <= bindparam("ts"))
    .order_by(e.origin_server_ts.desc(), e.place.desc(), e.position.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("skipped"))
)
_FROM_PLACE = Statement(
    select(e.event_id, e.place)
    .where(
        e.room_id == bindparam("room_id"),
        e.place >= bindparam("place"),
        or_(e.place > bindparam("place"), e.event_id > bindparam("after")),
        e.position >= 0,
        e.status != EventStatus.OUTLIER.value,
    )
    .order_by(e.place, e.event_id)
    .limit(bindparam("limit"))
)
_IN_ROOMS = oldest(select(e.event_id).where(in_list(e.room_id, "room_ids"), _VISIBLE), e.position)


def stored(new: NewEvent, position: int, *, redacted_by: str | None = None) -> StoredEvent:
    """What ``new`` is once it is stored at ``position``."""
    event = kept_event(new.event)
    before, after, room_state = new.state_before, new.state_after, new.room_state
    return StoredEvent(
        event=event,
        position=_position(new, position),
        place=new.place,
        state_before=before,
        state_after=before if after == before else after,
        room_state=before if room_state == before else after if room_state == after else room_state,
        redacted_by=redacted_by,
        status=new.status,
        after_gap=bool(new.missing),
        client=event.client,
    )


async def load(tx: Transaction, ids: Iterable[str]) -> list[StoredEvent]:
    """Those of ``ids`` that are stored, in no order."""
    return [loaded(row) for row in await load_rows(tx, ids)]


async def load_rows(tx: Transaction, ids: Iterable[str]) -> Sequence[Row]:
    """What ``loaded`` makes events of: decoding many takes longer than a unit of work should."""
    return await tx.all(_LOAD, ids=list(ids))


async def load_signed(tx: Transaction, ids: Iterable[str]) -> dict[str, SignedEvent]:
    """Those of ``ids`` that are stored, as they are exchanged between servers, by their ID."""
    return {row[0]: signed(row) for row in await tx.all(_LOAD, ids=list(ids))}


async def load_pdus(tx: Transaction, ids: Iterable[str]) -> dict[str, bytes]:
    """Those of ``ids`` that are stored as JSON, as they are exchanged, and never redacted."""
    return {row[0]: row[1] for row in await tx.all(_PDUS, ids=list(ids))}


async def statuses(tx: Transaction, ids: Iterable[str]) -> dict[str, EventStatus]:
    """What became of those of ``ids`` that are stored."""
    return {row[0]: EventStatus(row[1]) for row in await tx.all(_STATUSES, ids=list(ids))}


async def state_keys(tx: Transaction, ids: Iterable[str]) -> dict[str, tuple[str, StateKey, EventStatus]]:
    """Of those of ``ids`` that are stored state events: the room, the state that each sets, its status."""
    rows = await tx.all(_STATE_KEYS, ids=list(ids))
    return {row[0]: (row[1], (row[2], row[3]), EventStatus(row[4])) for row in rows}


async def insert(tx: WriteTransaction, new: Sequence[NewEvent], first_position: int) -> None:
    """Store events at consecutive positions, and the state events' places in the index of auth chains.

    An event comes after those of its auth events that are new too. Those that are outliers get a status
    instead. Raises UniqueViolation if another is there already.
    """
    if all(item.is_plain for item in new):
        await tx.many(
            _INSERT_PLAIN, [_plain_row(item, position) for position, item in enumerate(new, first_position)]
        )
    else:
        await _insert(tx, new, first_position)
    relations = [
        row
        for position, item in enumerate(new, first_position)
        if item.status is EventStatus.ACCEPTED
        and (row := _relation(item, _position(item, position))) is not None
    ]
    if relations:
        await tx.many(_INSERT_RELATION, relations)
        tx.notify(topics.RELATIONS, *{str(row["room_id"]) for row in relations})


async def _insert(tx: WriteTransaction, new: Sequence[NewEvent], first_position: int) -> None:
    places = await auth_chains.place(tx, [item.event for item in new if not item.stored], first_position)
    fresh = [
        _row(item, position, places.get(item.event.event_id))
        for position, item in enumerate(new, first_position)
        if not item.stored
    ]
    await tx.many(_INSERT, fresh)
    if len(fresh) == len(new):
        return
    judged = [(position, item) for position, item in enumerate(new, first_position) if item.stored]
    await tx.many(_JUDGE, [_judged(item, position) for position, item in judged])
    tx.notify(topics.EVENT, *(item.event.event_id for _, item in judged))
    await tx.many(
        _DELETE_RELATION,
        [{"target": item.event.event_id} for _, item in judged if item.status is not EventStatus.ACCEPTED],
    )


async def rejudge(tx: WriteTransaction, rejudged: Sequence[Rejudged]) -> None:
    """Store what else is now known of events that stay where they are."""
    rows = [
        {
            "id": item.event_id,
            "state_before": item.state_before,
            "state_after": item.state_after,
            "status": item.status.value,
        }
        for item in rejudged
    ]
    await tx.many(_REJUDGE, rows)
    tx.notify(topics.EVENT, *(item.event_id for item in rejudged))


async def ids_from_place(
    tx: Transaction, room_id: str, after: tuple[int, str], limit: int
) -> list[tuple[str, int]]:
    """``(event, place)`` of a room's events after ``(place, event)``, in order, whatever became of them.

    Outliers are left out, and what was fetched of the past.
    """
    rows = await tx.all(_FROM_PLACE, room_id=room_id, place=after[0], after=after[1], limit=limit)
    return [(row[0], row[1]) for row in rows]


async def insert_transactions(tx: WriteTransaction, made: Iterable[MadeBy], now_ms: int) -> None:
    """Note which request made which event. Raises UniqueViolation if one has made an event already."""
    await tx.many(_INSERT_TRANSACTION, [{**_MADE.values(item), "created_ts": now_ms} for item in made])


async def find_transactions(tx: Transaction, hashes: Iterable[bytes]) -> dict[bytes, str]:
    """The events that requests have made."""
    return {row[0]: row[1] for row in await tx.all(_FIND_TRANSACTIONS, hashes=list(hashes))}


async def transactions_of(tx: Transaction, ids: Iterable[str]) -> list[MadeBy]:
    """The requests that events were made by, as far as they were made by any."""
    return _MADE.all(await tx.all(_TRANSACTIONS_OF, ids=list(ids)))


async def redact(tx: WriteTransaction, room_id: str, target: str, redaction: str) -> None:
    """Mark ``target``, an event of the room, as redacted."""
    await tx.run(_REDACT, target=target, redaction=redaction)
    await tx.run(_DELETE_RELATION, target=target)
    tx.notify(topics.EVENT, target)
    tx.notify(topics.REDACTED, room_id)


async def latest_ids(tx: Transaction, room_id: str, *, after: int, upto: int, limit: int) -> list[str]:
    """The newest events of a room at positions in ``(after, upto]``, newest first."""
    rows = await tx.all(_LATEST, room_id=room_id, after=after, upto=upto, limit=limit)
    return [row[0] for row in rows]


async def latest_positions(tx: Transaction, room_id: str, *, upto: int, limit: int) -> list[tuple[str, int]]:
    """``(event, position)`` of the newest events of a room at or below ``upto``, newest first."""
    rows = await tx.all(_LATEST_POSITIONS, room_id=room_id, upto=upto, limit=limit)
    return [(row[0], row[1]) for row in rows]


async def redacted_positions(tx: Transaction, room_id: str, *, after: int, upto: int) -> list[int]:
    """The positions in ``(after, upto]`` of the events of a room that have been redacted."""
    return [row[0] for row in await tx.all(_REDACTED_POSITIONS, room_id=room_id, after=after, upto=upto)]


async def redactions(tx: Transaction, room_id: str, *, after: int, upto: int, limit: int) -> list[str]:
    """The newest redactions of a room at positions in ``(after, upto]``, newest first."""
    rows = await tx.all(_REDACTIONS, room_id=room_id, after=after, upto=upto, limit=limit)
    return [row[0] for row in rows]


async def sent_by(
    tx: Transaction, room_id: str, sender: str, *, after: int, upto: int, limit: int
) -> list[str]:
    """Somebody's newest events of a room at positions in ``(after, upto]``, newest first."""
    rows = await tx.all(_SENT_BY, room_id=room_id, sender=sender, after=after, upto=upto, limit=limit)
    return [row[0] for row in rows]


async def ids_before(
    tx: Transaction, room_id: str, order: tuple[int, int], limit: int, *, upto: int
) -> list[str]:
    """Events at or before ``order`` in the room's timeline, and at positions up to ``upto``, newest first."""
    place, position = order
    rows = await tx.all(_BEFORE, room_id=room_id, place=place, position=position, upto=upto, limit=limit)
    return [row[0] for row in rows]


async def ids_after(tx: Transaction, room_id: str, order: tuple[int, int], limit: int) -> list[str]:
    """Events after ``order`` in the room's timeline, oldest first."""
    rows = await tx.all(_AFTER, room_id=room_id, place=order[0], position=order[1], limit=limit)
    return [row[0] for row in rows]


async def last_id(tx: Transaction, room_id: str, upto: int) -> str | None:
    """The newest event of a room at or below the position ``upto``."""
    found: str | None = await tx.value(_LAST, room_id=room_id, upto=upto)
    return found


async def ids_in_rooms(
    tx: Transaction, room_ids: Iterable[str], *, after: int, upto: int, limit: int
) -> list[str]:
    """The first events of several rooms at positions in ``(after, upto]``, in order."""
    rows = await tx.all(_IN_ROOMS, room_ids=list(room_ids), after=after, upto=upto, limit=limit)
    return [row[0] for row in rows]


async def order_at(tx: Transaction, room_id: str, upto: int) -> tuple[int, int]:
    """Where the room's timeline ended at a stream position; ``(0, 0)`` before it began.

    The last event of the timeline is taken to be one of the newest LOOKED_AT of the stream.
    """
    row = await tx.one(_ORDER_AT, room_id=room_id, next=upto + 1)
    return (0, 0) if row is None else (row[0], min(row[1], upto))


async def near_time(
    tx: Transaction, room_id: str, ts: int, *, backwards: bool, limit: int, skipped: int = 0
) -> list[str]:
    """The events next to a time (ms since the Unix epoch), the nearest first."""
    statement = _UNTIL_TIME if backwards else _FROM_TIME
    rows = await tx.all(statement, room_id=room_id, ts=ts, limit=limit, skipped=skipped)
    return [row[0] for row in rows]


def _position(new: NewEvent, position: int) -> int:
    """Where it stands in the stream, if it is news at ``position``."""
    return new.past or position if new.status is EventStatus.ACCEPTED else NOWHERE


def _judged(new: NewEvent, position: int) -> dict[str, object]:
    return {
        "id": new.event.event_id,
        "position": _position(new, position),
        "place": new.place,
        "state_before": new.state_before,
        "state_after": new.state_after,
        "room_state": new.room_state,
        "status": new.status.value,
        "after_gap": int(bool(new.missing)),
        "outgoing": int(new.outgoing),
    }


def _plain_row(new: NewEvent, position: int) -> dict[str, object]:
    event = new.event
    return {
        "event_id": event.event_id,
        "room_id": event.room_id,
        "position": position,
        "place": new.place,
        "type": event.type,
        "sender": event.sender,
        "origin_server_ts": event.origin_server_ts,
        "state_before": new.state_before,
        "pdu": to_json(event.pdu),
    }


def _row(new: NewEvent, position: int, in_chain: Position | None) -> dict[str, object]:
    event = new.event
    chain, chain_seq = in_chain or (None, None)
    return {
        "event_id": event.event_id,
        "room_id": event.room_id,
        "position": _position(new, position),
        "place": new.place,
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
        "origin_server_ts": event.origin_server_ts,
        "state_before": new.state_before,
        "state_after": new.state_after,
        "room_state": new.room_state,
        "status": new.status.value,
        "after_gap": int(bool(new.missing)),
        "outgoing": int(new.outgoing),
        "redacted_by": None,
        "chain": chain,
        "chain_seq": chain_seq,
        "pdu": to_json(event.pdu),
    }


def _relation(new: NewEvent, position: int) -> dict[str, object] | None:
    event = new.event
    relates_to = event.content.get("m.relates_to")
    if not isinstance(relates_to, dict):
        # MSC2836 has a name of its own, and no replacements or threads under it.
        relates_to = event.content.get("m.relationship")
        if not isinstance(relates_to, dict) or relates_to.get("rel_type") in ("m.replace", "m.thread"):
            return None
    rel_type, target = relates_to.get("rel_type"), relates_to.get("event_id")
    if not isinstance(rel_type, str) or not isinstance(target, str):
        return None
    if len(rel_type.encode()) > 255 or len(target.encode()) > 255 or "\0" in rel_type + target:
        return None
    return {
        "event_id": event.event_id,
        "room_id": event.room_id,
        "target_id": target,
        "rel_type": rel_type,
        "type": event.type,
        "sender": event.sender,
        "place": new.place,
        "position": position,
    }


def signed(row: Row) -> SignedEvent:
    """The event in a row of ``load_rows`` as servers exchange it, decoded."""
    event_id, *_, redacted_by, _status, _after_gap, pdu, version = row
    rules = room_version(version)
    value = decode_canonical(pdu) if rules.strict_canonical_json else decode_object(pdu)
    event = parse_stored(rules, value, event_id)
    return event if redacted_by is None else redacted_event(rules, event)


def pdu(row: Row, *, pruned: bool) -> bytes:
    """The event in a row of ``load_rows`` as servers exchange it: without what is not protected, if it has
    been redacted or is to be ``pruned``."""
    *_, redacted_by, _status, _after_gap, stored_pdu, version = row
    if redacted_by is None and not pruned:
        return bytes(stored_pdu)
    event = signed(row)
    return to_json(event.pdu if redacted_by is not None else redacted_event(room_version(version), event).pdu)


def loaded(row: Row) -> StoredEvent:
    """The event in a row of ``load_rows``."""
    _, position, place, before, after, room_state, redacted_by, status, after_gap, _, _ = row
    new = NewEvent(
        event=signed(row),
        place=place,
        state_before=before,
        state_after=after,
        room_state=room_state,
        status=EventStatus(status),
    )
    found = stored(new, position, redacted_by=redacted_by)
    return replace(found, after_gap=True) if after_gap else found


async def forget_transactions(tx: WriteTransaction, *, before_ts: int, delayed: bool, limit: int) -> int:
    """Forget up to ``limit`` requests, or sendings of delayed events, of before a time; how many."""
    rows = await tx.all(_OLD_TRANSACTIONS[delayed], before=before_ts, limit=limit)
    if rows:
        await tx.run(_FORGET_TRANSACTIONS, hashes=[bytes(row[0]) for row in rows])
    return len(rows)
