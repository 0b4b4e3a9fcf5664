"""Events of other servers that wait until they can be judged."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, func, select, update

from palpo.core.identifiers import RoomId, ServerName
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.inbound import inbound_pdus
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundPdu:
    """One of them. Times are milliseconds since the Unix epoch."""

    room_id: RoomId
    event_id: str
    origin: ServerName
    """Who has sent it last: who can be asked for what it rests on."""
    received_ts: int
    tries: int
    """How often it could not be judged."""
    next_ts: int
    """When that is tried again."""
    pdu: bytes
    why: str | None = None
    """What came of it when what it rests on was sought last, for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How many wait."""

    in_room: int
    of_origin: int
    in_all: int


p = inbound_pdus.c
_RECORDS = Records(InboundPdu, inbound_pdus)
_PUT = upsert(inbound_pdus, key=["room_id", "event_id"], update=["origin"])
_ROOM = p.room_id == bindparam("room_id")
_DUE = Statement(
    select(*_RECORDS.columns)
    .where(_ROOM, p.next_ts <= bindparam("now"))
    .order_by(p.received_ts, p.event_id)
    .limit(bindparam("limit"))
)
_OF = Statement(select(*_RECORDS.columns).where(_ROOM, in_list(p.event_id, "event_ids")))
_NAMED = Statement(select(*_RECORDS.columns).where(in_list(p.event_id, "event_ids")))
_DUE_ROOMS = Statement(
    select(p.room_id).where(p.next_ts <= bindparam("now")).order_by(p.next_ts).limit(bindparam("limit"))
)
_ROOMS = Statement(select(p.room_id).distinct())
_WAITS_IN = Statement(select(p.room_id).distinct().where(in_list(p.room_id, "room_ids")))
_IDS = Statement(select(p.event_id).where(in_list(p.event_id, "event_ids"), _ROOM))
_IN_ROOM = Statement(select(func.count()).where(_ROOM))
_OF_ORIGIN = Statement(select(func.count()).where(p.origin == bindparam("origin")))
_IN_ALL = Statement(select(func.count()).select_from(inbound_pdus))
_LATER = Statement(
    update(inbound_pdus)
    .where(p.room_id == bindparam("room"), p.event_id == bindparam("event"))
    .values(tries=bindparam("new_tries"), next_ts=bindparam("new_ts"), why=bindparam("new_why"))
)
_SOONER = Statement(
    update(inbound_pdus)
    .where(p.room_id == bindparam("room"), p.next_ts > bindparam("new_ts"))
    .values(next_ts=bindparam("new_ts"))
)
_UNTRIED = Statement(
    update(inbound_pdus)
    .where(p.next_ts > bindparam("new_ts"), p.tries == 0)
    .values(next_ts=bindparam("new_ts"))
)
_TAKE = Statement(delete(inbound_pdus).where(_ROOM, in_list(p.event_id, "event_ids")))
_EXPIRED = Statement(
    select(p.room_id, p.event_id)
    .where(p.received_ts < bindparam("before"))
    .order_by(p.received_ts)
    .limit(bindparam("limit"))
)


async def put(tx: WriteTransaction, waiting: Sequence[InboundPdu]) -> None:
    """Have events wait; of those that do already, note who has sent them last."""
    await tx.many(_PUT, [_RECORDS.values(item) for item in waiting])


async def due(tx: Transaction, room_id: str, *, now_ms: int, limit: int) -> list[InboundPdu]:
    """Those of a room that are to be tried by now, as they came."""
    return _RECORDS.all(await tx.all(_DUE, room_id=room_id, now=now_ms, limit=limit))


async def find(tx: Transaction, room_id: str, event_ids: Iterable[str]) -> list[InboundPdu]:
    """Those of the events that wait, in no order."""
    return _RECORDS.all(await tx.all(_OF, room_id=room_id, event_ids=list(event_ids)))


async def named(tx: Transaction, event_ids: Iterable[str]) -> dict[str, InboundPdu]:
    """Those of the events that wait in any room, by their ID; looks at all that wait."""
    return {item.event_id: item for item in _RECORDS.all(await tx.all(_NAMED, event_ids=list(event_ids)))}


async def due_rooms(tx: Transaction, *, now_ms: int, limit: int) -> list[str]:
    """The rooms of the first ``limit`` that are to be tried by now, the most urgent first."""
    rows = await tx.all(_DUE_ROOMS, now=now_ms, limit=limit)
    return list(dict.fromkeys(row[0] for row in rows))


async def rooms(tx: Transaction) -> set[str]:
    """All rooms in which any wait."""
    return {row[0] for row in await tx.all(_ROOMS)}


async def waits_in(tx: Transaction, room_ids: Iterable[str]) -> set[str]:
    """In which of the rooms any wait."""
    return {row[0] for row in await tx.all(_WAITS_IN, room_ids=list(room_ids))}


async def known(tx: Transaction, room_id: str, event_ids: Collection[str]) -> set[str]:
    """Those of the events that wait."""
    return {row[0] for row in await tx.all(_IDS, room_id=room_id, event_ids=list(event_ids))}


async def count(tx: Transaction, room_id: str, origin: str) -> Waiting:
    """How many wait."""
    return Waiting(
        in_room=await tx.value(_IN_ROOM, room_id=room_id),
        of_origin=await tx.value(_OF_ORIGIN, origin=origin),
        in_all=await tx.value(_IN_ALL),
    )


async def later(tx: WriteTransaction, tried: Iterable[InboundPdu]) -> None:
    """Note when events are to be tried again, and why (``tries``, ``next_ts``, ``why``)."""
    await tx.many(
        _LATER,
        [
            {
                "room": item.room_id,
                "event": item.event_id,
                "new_tries": item.tries,
                "new_ts": item.next_ts,
                "new_why": item.why,
            }
            for item in tried
        ],
    )


async def sooner(tx: WriteTransaction, room_id: str, next_ts: int) -> int:
    """Have what waits of a room tried by then; how many are tried sooner for it."""
    return await tx.run(_SOONER, room=room_id, new_ts=next_ts)


async def untried(tx: WriteTransaction, next_ts: int) -> None:
    """Have those that were never tried to an end tried by then."""
    await tx.run(_UNTRIED, new_ts=next_ts)


async def take(tx: WriteTransaction, room_id: str, event_ids: Collection[str]) -> None:
    """Events do not wait any more."""
    if event_ids:
        await tx.run(_TAKE, room_id=room_id, event_ids=list(event_ids))


async def forget(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget up to ``limit`` that came before a time; how many."""
    by_room: dict[str, list[str]] = {}
    for room_id, event_id in await tx.all(_EXPIRED, before=before_ts, limit=limit):
        by_room.setdefault(room_id, []).append(event_id)
    for room_id, event_ids in by_room.items():
        await take(tx, room_id, event_ids)
    return sum(map(len, by_room.values()))
