"""Rows that are a room's, of whatever noun, and how they are deleted a few at a time.

A table's rows are found by the room outside of transactions that write, since few have an index for that,
and deleted by what tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Table, bindparam, delete, select

from palpo.core.records.quotas import Kind
from palpo.db.statements import Statement, in_list
from palpo.db.tables import metadata
from palpo.db.tables.accounts import users
from palpo.db.tables.push import push_queue
from palpo.db.tables.rooms import (
    auth_chain_links,
    event_transactions,
    events,
    memberships,
    pending_redactions,
    room_roots,
    rooms,
    state_nodes,
)
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.streams import topics

KEPT = {
    "audit_log": "who has deleted the room",
    "blocked_rooms": "whether it may be joined, which is so whether or not it is here",
    "failed_fetches": "events that are not here; forgotten within hours",
    "jobs": "what became of the deletion",
    "key_backup_sessions": "keys in users' own backups, which open what they have elsewhere too",
}
"""Tables in which something of a room stays, and what."""
SPECIAL = ("rooms", "events", "memberships", "outside_memberships", "room_aliases", "room_roots")
"""Those that others are deleted before, or that take more than deleting rows."""


@dataclass(frozen=True, slots=True)
class RowsOf:
    """How a table's rows of a room are found and deleted."""

    table: Table
    kinds: tuple[Kind, ...]
    """What users have less of then."""
    user: bool
    """Whether what tells rows apart is whose they are."""
    find: Statement
    remove: Statement


def _rows_of(table: Table) -> RowsOf:
    kept = table.info.get("kept")
    kinds = () if kept is None else tuple(kept.counted)
    by = _told_apart_by(table)
    return RowsOf(
        table=table,
        kinds=kinds,
        user=kept is not None and by.name == kept.user,
        find=Statement(
            select(by).where(table.c.room_id == bindparam("room")).distinct().limit(bindparam("limit"))
        ),
        remove=Statement(delete(table).where(table.c.room_id == bindparam("room"), in_list(by, "some"))),
    )


def _told_apart_by(table: Table) -> Column[str]:
    found: Column[str] = next(column for column in table.primary_key if column.name != "room_id")
    return found


TABLES: dict[str, RowsOf | Statement] = {
    table.name: _rows_of(table)
    if len(table.primary_key) > 1 or "room_id" not in table.primary_key
    else Statement(delete(table).where(table.c.room_id == bindparam("room")))
    for table in metadata.sorted_tables
    if "room_id" in table.c and table.name not in KEPT and table.name not in SPECIAL
}
"""By name; where a room has one row at most, what deletes that."""
e = events.c
_ROOM = e.room_id == bindparam("room")
_EVENTS = Statement(
    select(e.event_id, e.chain, e.state_before, e.state_after, e.room_state)
    .where(_ROOM)
    .limit(bindparam("limit"))
)
_ANY_EVENT = Statement(select(e.event_id).where(_ROOM).limit(1))
_DELETE_EVENTS = Statement(delete(events).where(in_list(e.event_id, "ids")))
_DELETE_TRANSACTIONS = Statement(
    delete(event_transactions).where(in_list(event_transactions.c.event_id, "ids"))
)
_DELETE_REDACTIONS = Statement(
    delete(pending_redactions).where(in_list(pending_redactions.c.target_id, "ids"))
)
_DELETE_PUSHES = Statement(delete(push_queue).where(in_list(push_queue.c.event_id, "ids")))
_DELETE_LINKS = Statement(delete(auth_chain_links).where(in_list(auth_chain_links.c.from_chain, "chains")))
_DELETE_ROOM = Statement(delete(rooms).where(rooms.c.room_id == bindparam("room")))
_ROOTS = Statement(
    select(room_roots.c.position, room_roots.c.state_root)
    .where(room_roots.c.room_id == bindparam("room"))
    .limit(bindparam("limit"))
)
_DELETE_ROOTS = Statement(
    delete(room_roots).where(
        room_roots.c.room_id == bindparam("room"), in_list(room_roots.c.position, "positions")
    )
)
_DELETE_NODES = Statement(delete(state_nodes).where(in_list(state_nodes.c.hash, "hashes")))
_PRESENT = Statement(
    select(memberships.c.user_id)
    .join(users, users.c.user_id == memberships.c.user_id)
    .where(
        memberships.c.room_id == bindparam("room"),
        in_list(memberships.c.membership, "present"),
        memberships.c.user_id > bindparam("after"),
    )
    .order_by(memberships.c.user_id)
    .limit(bindparam("limit"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """What has to be known of an event to delete it."""

    event_id: str
    chain: int | None
    roots: tuple[bytes, bytes, bytes]


async def present(
    tx: Transaction, room_id: str, memberships_: Sequence[str], *, after: str, limit: int
) -> list[str]:
    """The next users of this server by ID with one of some memberships of a room."""
    rows = await tx.all(_PRESENT, room=room_id, present=list(memberships_), after=after, limit=limit)
    return [row[0] for row in rows]


async def find(tx: Transaction, rows: RowsOf, room_id: str, limit: int) -> list[str]:
    """What tells some of a table's rows of a room apart."""
    return [row[0] for row in await tx.all(rows.find, room=room_id, limit=limit)]


async def remove(tx: WriteTransaction, rows: RowsOf, room_id: str, some: Sequence[str]) -> None:
    """Delete those rows."""
    await tx.run(rows.remove, room=room_id, some=list(some))
    if rows.user:
        tx.notify(topics.MEMBER, *some)
        tx.notify(topics.ACCOUNT_DATA, *some)
        tx.notify(topics.READ, *some)


async def remove_single(tx: WriteTransaction, room_id: str) -> None:
    """Delete what a room has one row of, but for its own; and have all forget what they know of it."""
    for rows in TABLES.values():
        if isinstance(rows, Statement):
            await tx.run(rows, room=room_id)
    _forget(tx, room_id)


async def remove_room(tx: WriteTransaction, room_id: str) -> None:
    """Delete the room's own row: from now on nobody finds it."""
    await tx.positions()
    await tx.run(_DELETE_ROOM, room=room_id)
    _forget(tx, room_id)


def _forget(tx: WriteTransaction, room_id: str) -> None:
    tx.notify(topics.HEAD, room_id)
    tx.notify(topics.REDACTED, room_id)
    tx.notify(topics.RELATIONS, room_id)
    tx.notify(topics.RECEIPTS, room_id)
    tx.notify(topics.ROOM_SERVERS, room_id)
    tx.notify(topics.DIRECTORY, topics.ONLY)


async def some_events(tx: Transaction, room_id: str, limit: int) -> list[EventRow]:
    """Some of a room's events, in no order."""
    return [
        EventRow(event_id=row[0], chain=row[1], roots=(bytes(row[2]), bytes(row[3]), bytes(row[4])))
        for row in await tx.all(_EVENTS, room=room_id, limit=limit)
    ]


async def has_events(tx: Transaction, room_id: str) -> bool:
    """Whether any event of a room is here."""
    return await tx.value(_ANY_EVENT, room=room_id) is not None


async def remove_events(tx: WriteTransaction, rows: Sequence[EventRow]) -> None:
    """Delete events, and what belongs to one of them."""
    ids = [row.event_id for row in rows]
    for statement in (_DELETE_TRANSACTIONS, _DELETE_REDACTIONS, _DELETE_PUSHES, _DELETE_EVENTS):
        await tx.run(statement, ids=ids)
    chains = {row.chain for row in rows if row.chain is not None}
    if chains:
        await tx.run(_DELETE_LINKS, chains=list(chains))
    tx.notify(topics.EVENT, *ids)


async def some_roots(tx: Transaction, room_id: str, limit: int) -> dict[int, bytes]:
    """Some of the states that the room came to without an event, by their positions."""
    return {row[0]: bytes(row[1]) for row in await tx.all(_ROOTS, room=room_id, limit=limit)}


async def remove_roots(tx: WriteTransaction, room_id: str, positions: Sequence[int]) -> None:
    """Forget that the room came to them."""
    await tx.run(_DELETE_ROOTS, room=room_id, positions=list(positions))


async def remove_nodes(tx: WriteTransaction, hashes: Sequence[bytes]) -> None:
    """Delete nodes of the state tree that nothing refers to."""
    await tx.run(_DELETE_NODES, hashes=list(hashes))
