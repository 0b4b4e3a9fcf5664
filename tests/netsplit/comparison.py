"""What servers have of rooms, read from their databases, and how it differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import orjson
from sqlalchemy import bindparam, func, select

from palpo.core.records.events import EventStatus
from palpo.db.engine import Database
from palpo.db.statements import Statement
from palpo.db.tables.destinations import destinations
from palpo.db.tables.inbound import inbound_pdus
from palpo.db.tables.rooms import events, memberships
from palpo.db.transaction import Transaction
from palpo.storage import rooms as rooms_storage

KNOWN = (EventStatus.ACCEPTED, EventStatus.HIDDEN, EventStatus.SOFT_FAILED)
"""What is of the room's history."""
SHOWN = 10
"""Differences of one kind that are shown."""

_EVENTS = Statement(
    select(events.c.event_id, events.c.status, events.c.redacted_by, events.c.sender).where(
        events.c.room_id == bindparam("room_id")
    )
)
_PDUS = Statement(select(events.c.event_id, events.c.pdu).where(events.c.room_id == bindparam("room_id")))
_MEMBERS = Statement(
    select(memberships.c.user_id, memberships.c.membership, memberships.c.event_id).where(
        memberships.c.room_id == bindparam("room_id"), memberships.c.membership != "leave"
    )
)
_WAITING = Statement(select(func.count()).select_from(inbound_pdus))
_BEHIND = Statement(select(destinations.c.server_name, destinations.c.failures))


@dataclass(frozen=True, slots=True)
class Room:
    """What one server has of a room."""

    root: bytes
    heads: frozenset[str]
    statuses: Mapping[str, EventStatus]
    redacted: frozenset[str]
    members: frozenset[tuple[str, str, str]]

    @property
    def known(self) -> frozenset[str]:
        """The events of its history."""
        return frozenset(name for name, status in self.statuses.items() if status in KNOWN)


@dataclass(slots=True)
class Differences:
    """What is not the same, in words; ``soft_failed`` counts by server what only some show."""

    found: list[str] = field(default_factory=list)
    soft_failed: Counter[str] = field(default_factory=Counter)

    def add(self, room_id: str, what: str, names: Iterable[object] = ()) -> None:
        some = sorted(map(str, names))
        more = f" and {len(some) - SHOWN} more" if len(some) > SHOWN else ""
        self.found.append(f"{room_id}: {what} {' '.join(some[:SHOWN])}{more}".rstrip())


async def room_of(database: Database, room_id: str) -> Room | None:
    """What a server has of a room, None where it does not know it."""

    async def unit(tx: Transaction) -> Room | None:
        head = await rooms_storage.load_head(tx, room_id)
        rows = await tx.all(_EVENTS, room_id=room_id)
        members = await tx.all(_MEMBERS, room_id=room_id)
        if head is None:
            return None
        return Room(
            head.state_root,
            frozenset(head.extremities),
            {row[0]: EventStatus(row[1]) for row in rows},
            frozenset(row[0] for row in rows if row[2] is not None),
            frozenset((row[0], row[1], row[2]) for row in members),
        )

    return await database.read(unit)


async def history_of(database: Database, room: Room, room_id: str) -> frozenset[str]:
    """The events that the heads of a room lead to: who has come back finds no others."""

    async def unit(tx: Transaction) -> Mapping[str, bytes]:
        return {row[0]: row[1] for row in await tx.all(_PDUS, room_id=room_id)}

    pdus, found, waiting = await database.read(unit), set[str](), list(room.heads)
    while waiting:
        if (name := waiting.pop()) in pdus and name not in found:
            found.add(name)
            waiting += orjson.loads(pdus[name])["prev_events"]
    return frozenset(found)


async def unsettled(database: Database) -> str:
    """What a server has still to tell others, or waits for; empty for nothing."""

    async def unit(tx: Transaction) -> str:
        row = await tx.one(_WAITING)
        waiting = row[0] if row else 0
        behind = [f"{name} ({failures} failures)" for name, failures in await tx.all(_BEHIND)]
        return ", ".join([f"{waiting} events wait"] * bool(waiting) + behind)

    return await database.read(unit)


def compare(
    room_id: str,
    rooms: Mapping[str, Room | None],
    acknowledged: Mapping[str, str],
    trusted: Sequence[str],
    *,
    everything: frozenset[str],
) -> Differences:
    """How servers differ in a room, and what they lack of ``everything``.

    ``acknowledged`` has who sent what, by event; what ``trusted`` users send has to be accepted.
    """
    differences = Differences()
    there = {name: room for name, room in rooms.items() if room is not None}
    if len(there) < len(rooms):
        differences.add(room_id, "not known to", rooms.keys() - there.keys())
        return differences
    if len({room.root for room in there.values()}) > 1:
        differences.add(room_id, "states differ:", (f"{n}={r.root.hex()[:8]}" for n, r in there.items()))
    if len({room.heads for room in there.values()}) > 1:
        differences.add(room_id, "heads differ:", (f"{n}={sorted(r.heads)}" for n, r in there.items()))
    if len({room.members for room in there.values()}) > 1:
        differences.add(room_id, "members differ:", _uncommon([room.members for room in there.values()]))
    for name, room in there.items():
        if lacking := everything - room.known:
            said = (f"{event}={_status(room, event)}" for event in lacking)
            differences.add(room_id, f"{name} lacks {len(lacking)}:", said)
        soft = {event for event, status in room.statuses.items() if status is EventStatus.SOFT_FAILED}
        differences.soft_failed[name] += len(soft)
        if wrong := {event for event in soft if acknowledged.get(event) in trusted}:
            differences.add(room_id, f"{name} soft-failed what a keeper has sent:", wrong)
    _compare_redactions(room_id, there, differences)
    return differences


def _compare_redactions(room_id: str, rooms: Mapping[str, Room], differences: Differences) -> None:
    """What one server redacts all do, unless it is not of every server's timeline."""
    soft = {event for r in rooms.values() for event, s in r.statuses.items() if s is EventStatus.SOFT_FAILED}
    common = frozenset.intersection(*(room.known for room in rooms.values()))
    uncommon = common & _uncommon([room.redacted for room in rooms.values()])
    if uncommon and not soft:
        differences.add(room_id, "redacted at some only:", uncommon)


def _status(room: Room, event_id: str) -> str:
    status = room.statuses.get(event_id)
    return "unknown" if status is None else status.name.lower()


def _uncommon(sets: Sequence[frozenset[object]]) -> frozenset[object]:
    return frozenset.union(*sets) - frozenset.intersection(*sets)
