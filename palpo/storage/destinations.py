"""Servers that have not been told of everything, and what they are to be told of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from sqlalchemy import Select, and_, bindparam, delete, or_, select

from palpo.core.identifiers import RoomId, ServerName
from palpo.core.records.events import EventStatus
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.destinations import destinations
from palpo.db.tables.room_servers import room_servers
from palpo.db.tables.rooms import events, rooms
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.windows import oldest, within
from palpo.streams import topics

SENDER = "federation-sender"
"""The consumer of the stream that tells other servers: its name, and its lease's."""
d = destinations.c
e = events.c
s = room_servers.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A server that has not been told of everything. Times are milliseconds since the Unix epoch."""

    server_name: ServerName
    sent_upto: int
    """Of everything up to this position of the stream it has been told."""
    failures: int
    """How often it could not be told since it last could; 0: it is only behind."""
    failing_since_ts: int
    retry_ts: int
    error: str
    """Why it could not be told, for operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingEvent:
    """An event that others are told of."""

    event_id: str
    position: int
    room_id: RoomId
    sender: str
    type: str
    state_key: str | None


_RECORDS = Records(Destination, destinations)
_ALL = Statement(select(*_RECORDS.columns).order_by(d.server_name))
_FIND = Statement(select(*_RECORDS.columns).where(d.server_name == bindparam("server_name")))
_FAILING = Statement(select(d.server_name).where(d.failures > 0))
_PUT = upsert(destinations, key=["server_name"])
_DELETE = Statement(delete(destinations).where(in_list(d.server_name, "server_names")))
_EVENTS = Records(OutgoingEvent, events)
_OUTGOING = and_(e.outgoing == 1, e.status == EventStatus.ACCEPTED.value)
_NEW = oldest(
    select(*_EVENTS.columns).where(_OUTGOING, select(s.room_id).where(s.room_id == e.room_id).exists()),
    e.position,
)
_NEW_WITH_PDUS = oldest(
    select(*_EVENTS.columns, e.pdu, e.redacted_by).where(
        _OUTGOING, select(s.room_id).where(s.room_id == e.room_id).exists()
    ),
    e.position,
)
_WAS_IN = and_(s.position <= e.position, or_(s.joined > 0, e.position <= s.left_position))


def _for_server(query: Select[Any]) -> Statement:
    return oldest(query.where(s.server_name == bindparam("server_name"), _OUTGOING), e.position)


_EVERY = _for_server(select(*_EVENTS.columns).join(room_servers, s.room_id == e.room_id).where(_WAS_IN))
_NEWEST = _for_server(
    select(*_EVENTS.columns)
    .select_from(room_servers)
    .join(rooms, rooms.c.room_id == s.room_id)
    .join(events, e.event_id == rooms.c.newest_outgoing)
    .where(_WAS_IN)
)
_NEWCOMERS = Statement(
    select(*_EVENTS.columns, s.server_name, s.position, rooms.c.extremities)
    .select_from(room_servers)
    .join(rooms, rooms.c.room_id == s.room_id)
    .join(events, e.event_id == rooms.c.newest_outgoing)
    .where(in_list(s.room_id, "room_ids"), s.joined > 0, s.position > e.position, within(s.position))
    .order_by(s.position)
)
_LEFT = _for_server(
    select(*_EVENTS.columns)
    .select_from(room_servers)
    .join(events, e.position == s.left_position)
    .where(s.joined == 0, within(s.left_position))
)


async def every(tx: Transaction) -> list[Destination]:
    """All of them, by name."""
    return _RECORDS.all(await tx.all(_ALL))


async def find(tx: Transaction, server_name: str) -> Destination | None:
    """One of them."""
    return _RECORDS.one(await tx.one(_FIND, server_name=server_name))


async def failing(tx: Transaction) -> set[ServerName]:
    """Those that could not be told."""
    return {row[0] for row in await tx.all(_FAILING)}


async def put(tx: WriteTransaction, changed: Sequence[Destination], gone: Collection[str]) -> None:
    """Store some, and forget those that are ``gone``: they have been told of everything."""
    if changed:
        await tx.many(_PUT, [_RECORDS.values(item) for item in changed])
    if gone:
        await tx.run(_DELETE, server_names=sorted(gone))
    tx.notify(topics.DESTINATIONS, *(item.server_name for item in changed), *gone)


def retry(tx: WriteTransaction, server_names: Collection[str]) -> None:
    """Have whoever tells servers try these now."""
    tx.notify(topics.RETRIES, *server_names)


async def new_events(tx: Transaction, *, after: int, upto: int, limit: int) -> list[OutgoingEvent]:
    """What others are to be told of at positions in ``(after, upto]``, in rooms where any are or were."""
    return _EVENTS.all(await tx.all(_NEW, after=after, upto=upto, limit=limit))


async def new_pdus(
    tx: Transaction, *, after: int, upto: int, limit: int
) -> list[tuple[OutgoingEvent, bytes | None]]:
    """The same, each with its PDU as JSON; None where it has been redacted."""
    rows = await tx.all(_NEW_WITH_PDUS, after=after, upto=upto, limit=limit)
    return [(_EVENTS.of(row), None if row[-1] is not None else bytes(row[-2])) for row in rows]


async def told_before(
    tx: Transaction, room_ids: Collection[str], *, after: int, upto: int
) -> list[tuple[OutgoingEvent, ServerName]]:
    """What servers miss that came into these rooms at positions in ``(after, upto]``, and who misses it.

    It is the newest event of this server, where nothing refers to it: who joined did so beside it. It has the
    position at which they came.
    """
    found = []
    for *row, server_name, position, extremities in await tx.all(
        _NEWCOMERS, room_ids=list(room_ids), after=after, upto=upto
    ):
        event = _EVENTS.all([row])[0]
        if event.event_id in orjson.loads(extremities):
            found.append((replace(event, position=position), ServerName(server_name)))
    return found


async def every_event(
    tx: Transaction, server_name: str, *, after: int, upto: int, limit: int
) -> list[OutgoingEvent]:
    """All that one server is to be told of at positions in ``(after, upto]``: looks at every event there."""
    rows = await tx.all(_EVERY, server_name=server_name, after=after, upto=upto, limit=limit)
    return _EVENTS.all(rows)


async def newest_events(
    tx: Transaction, server_name: str, *, after: int, upto: int, limit: int
) -> list[OutgoingEvent]:
    """Of each room that a server is in the newest event, if its position is in ``(after, upto]``.

    Of rooms that it has left since, the event by which it did.
    """
    window = {"server_name": server_name, "after": after, "upto": upto, "limit": limit}
    found = _EVENTS.all(await tx.all(_NEWEST, **window)) + _EVENTS.all(await tx.all(_LEFT, **window))
    return sorted({item.event_id: item for item in found}.values(), key=lambda item: item.position)[:limit]
