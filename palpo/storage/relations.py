"""Which events relate to which: children by their parent (spec: "Forming relationships between events").

A child that is redacted has no relation any more, so ``storage.events.redact`` removes its row. An event
may name one of another room: that is noted too, since the other may come later, but is no child of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BindParameter, and_, bindparam, case, func, or_, select

from palpo.db.statements import Statement, in_list
from palpo.db.tables.rooms import event_relations, events
from palpo.db.transaction import Transaction

r = event_relations.c
THREAD = "m.thread"
REPLACE = "m.replace"
REFERENCE = "m.reference"
MAX_REFERENCES = 100
"""References that one aggregation lists."""
MAX_NEWEST = 5
"""Last events of a thread that are looked at for one that the user may see."""
MAX_REPLACEMENTS = 5
"""Replacements of an event that are looked at, newest first, for one that has new content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thread:
    """What a thread comes to."""

    count: int
    newest: list[str]
    """Its last events, newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Children:
    """What is aggregated of the children of some events, by the event."""

    replacements: dict[str, list[str]]
    """By the same sender and of the same type, newest first."""
    threads: dict[str, Thread]
    participated: frozenset[str]
    """The threads in which the user has said something."""
    references: dict[str, list[str]]


_ANY = Statement(select(r.event_id).where(r.room_id == bindparam("room_id")).limit(1))
_TYPES = Statement(
    select(r.target_id, r.rel_type)
    .where(in_list(r.target_id, "targets"), in_list(r.rel_type, "rel_types"))
    .group_by(r.target_id, r.rel_type)
)
_target = events.alias("target")
_with_target = event_relations.join(
    _target, and_(_target.c.event_id == r.target_id, _target.c.room_id == r.room_id)
)
_replacements = (
    select(
        r.target_id.label("target_id"),
        r.event_id.label("event_id"),
        func.row_number()
        .over(partition_by=r.target_id, order_by=(events.c.origin_server_ts.desc(), r.event_id.desc()))
        .label("rank"),
    )
    .select_from(_with_target.join(events, events.c.event_id == r.event_id))
    .where(
        in_list(r.target_id, "targets"),
        r.rel_type == REPLACE,
        _target.c.sender == r.sender,
        _target.c.type == r.type,
        events.c.state_key.is_(None),
    )
    .subquery()
)
_REPLACEMENTS = Statement(
    select(_replacements.c.target_id, _replacements.c.event_id)
    .where(_replacements.c.rank <= MAX_REPLACEMENTS)
    .order_by(_replacements.c.target_id, _replacements.c.rank)
)
_in_order = (
    select(
        r.target_id.label("target_id"),
        r.event_id.label("event_id"),
        func.row_number()
        .over(partition_by=r.target_id, order_by=(r.place.desc(), r.position.desc()))
        .label("rank"),
        func.count().over(partition_by=r.target_id).label("total"),
    )
    .select_from(_with_target)
    .where(
        in_list(r.target_id, "targets"),
        r.rel_type == bindparam("rel_type"),
        ~in_list(r.sender, "ignored"),
    )
    .subquery()
)
_IN_ORDER = Statement(
    select(_in_order.c.target_id, _in_order.c.event_id, _in_order.c.total)
    .where(_in_order.c.rank <= bindparam("limit"))
    .order_by(_in_order.c.target_id, _in_order.c.rank)
)
_PARTICIPATED = Statement(
    select(r.target_id)
    .distinct()
    .select_from(_with_target)
    .where(in_list(r.target_id, "targets"), r.rel_type == THREAD, r.sender == bindparam("user_id"))
)
_OF = Statement(select(r.rel_type, r.target_id).where(r.event_id == bindparam("event_id")))

_OF_SENDER = Statement(
    select(r.event_id)
    .where(
        r.target_id == bindparam("target"),
        r.room_id == bindparam("room_id"),
        r.rel_type == bindparam("rel_type"),
        r.type == bindparam("event_type"),
        r.sender == bindparam("sender"),
    )
    .limit(1000)
)

_RELATED = Statement(
    select(r.target_id)
    .distinct()
    .select_from(_with_target)
    .where(
        in_list(r.target_id, "targets"),
        or_(bindparam("any_rel_type") == 1, in_list(r.rel_type, "rel_types")),
        or_(bindparam("any_sender") == 1, in_list(r.sender, "senders")),
    )
)


def _page(backwards: bool) -> Statement:
    place: BindParameter[int] = bindparam("place")
    position: BindParameter[int] = bindparam("position")
    if backwards:
        within = or_(r.place < place, and_(r.place == place, r.position <= position))
        order = (r.place.desc(), r.position.desc())
    else:
        within = or_(r.place > place, and_(r.place == place, r.position > position))
        order = (r.place.asc(), r.position.asc())
    return Statement(
        select(r.event_id)
        .where(
            in_list(r.target_id, "targets"),
            r.room_id == bindparam("room_id"),
            or_(bindparam("any_rel_type") == 1, r.rel_type == bindparam("rel_type")),
            or_(bindparam("any_type") == 1, r.type == bindparam("event_type")),
            within,
        )
        .order_by(*order)
        .limit(bindparam("limit"))
    )


_PAGE_BACK = _page(backwards=True)
_PAGE_ON = _page(backwards=False)
_root = events.alias("root")
_latest = func.max(r.position).label("latest")
_by_user = or_(r.sender == bindparam("user_id"), _root.c.sender == bindparam("user_id"))
_own = func.max(case((_by_user, 1), else_=0))
_THREADS = Statement(
    select(r.target_id, _latest)
    .select_from(event_relations.join(_root, _root.c.event_id == r.target_id))
    .where(r.room_id == bindparam("room_id"), r.rel_type == THREAD, _root.c.room_id == r.room_id)
    .group_by(r.target_id)
    .having(and_(_latest < bindparam("before"), or_(bindparam("all_threads") == 1, _own == 1)))
    .order_by(_latest.desc())
    .limit(bindparam("limit"))
)


async def room_has_any(tx: Transaction, room_id: str) -> bool:
    """Whether anything in the room relates to anything."""
    return await tx.value(_ANY, room_id=room_id) is not None


async def relation_of(tx: Transaction, event_id: str) -> tuple[str, str] | None:
    """The ``(rel_type, target)`` of an event that relates to another."""
    row = await tx.one(_OF, event_id=event_id)
    return None if row is None else (row[0], row[1])


async def of_sender(
    tx: Transaction, room_id: str, target: str, *, rel_type: str, event_type: str, sender: str
) -> list[str]:
    """The sender's children of ``target`` of that relation and event type."""
    rows = await tx.all(
        _OF_SENDER, room_id=room_id, target=target, rel_type=rel_type, event_type=event_type, sender=sender
    )
    return [row[0] for row in rows]


async def related(
    tx: Transaction,
    targets: Sequence[str],
    *,
    rel_types: Sequence[str] | None,
    senders: Sequence[str] | None,
) -> frozenset[str]:
    """Those of ``targets`` that have a child of one of the types, by one of the senders."""
    rows = await tx.all(
        _RELATED,
        targets=list(targets),
        any_rel_type=int(rel_types is None),
        rel_types=list(rel_types or [""]),
        any_sender=int(senders is None),
        senders=list(senders or [""]),
    )
    return frozenset(row[0] for row in rows)


async def page(
    tx: Transaction,
    room_id: str,
    targets: Sequence[str],
    order: tuple[int, int],
    limit: int,
    *,
    backwards: bool,
    rel_type: str | None = None,
    event_type: str | None = None,
) -> list[str]:
    """Children of any of ``targets``: at or before ``order``, newest first; or after it, oldest first."""
    rows = await tx.all(
        _PAGE_BACK if backwards else _PAGE_ON,
        room_id=room_id,
        targets=list(targets),
        place=order[0],
        position=order[1],
        limit=limit,
        any_rel_type=int(rel_type is None),
        rel_type=rel_type or "",
        any_type=int(event_type is None),
        event_type=event_type or "",
    )
    return [row[0] for row in rows]


async def threads(
    tx: Transaction, room_id: str, user_id: str, *, participated: bool, before: int, limit: int
) -> list[tuple[str, int]]:
    """``(root, position of its last event)`` of a room's threads, the one that goes on last first.

    ``participated`` leaves just those that the user has begun or said something in.
    """
    rows = await tx.all(
        _THREADS,
        room_id=room_id,
        user_id=user_id,
        all_threads=int(not participated),
        before=before,
        limit=limit,
    )
    return [(row[0], row[1]) for row in rows]


async def children(
    tx: Transaction, targets: Sequence[str], user_id: str, ignored: Sequence[str] = ()
) -> Children:
    """What the children of ``targets`` come to for a user, those of the ``ignored`` senders left out."""
    rows = await tx.all(_TYPES, targets=list(targets), rel_types=[REPLACE, THREAD, REFERENCE])
    by_type: dict[str, list[str]] = {REPLACE: [], THREAD: [], REFERENCE: []}
    for target, rel_type in rows:
        by_type[rel_type].append(target)
    replacements: dict[str, list[str]] = {}
    if by_type[REPLACE]:
        for target, event_id in await tx.all(_REPLACEMENTS, targets=by_type[REPLACE]):
            replacements.setdefault(target, []).append(event_id)
    threads: dict[str, Thread] = {}
    participated: frozenset[str] = frozenset()
    if by_type[THREAD]:
        for target, event_id, total in await _newest(tx, THREAD, by_type[THREAD], ignored, MAX_NEWEST):
            threads.setdefault(target, Thread(count=total, newest=[])).newest.append(event_id)
        found = await tx.all(_PARTICIPATED, targets=by_type[THREAD], user_id=user_id)
        participated = frozenset(row[0] for row in found)
    references: dict[str, list[str]] = {}
    if by_type[REFERENCE]:
        for target, event_id, _ in await _newest(tx, REFERENCE, by_type[REFERENCE], ignored, MAX_REFERENCES):
            references.setdefault(target, []).insert(0, event_id)
    return Children(
        replacements=replacements, threads=threads, participated=participated, references=references
    )


async def _newest(
    tx: Transaction, rel_type: str, targets: Sequence[str], ignored: Sequence[str], limit: int
) -> list[tuple[str, str, int]]:
    rows = await tx.all(
        _IN_ORDER, targets=list(targets), rel_type=rel_type, ignored=list(ignored) or [""], limit=limit
    )
    return [(row[0], row[1], row[2]) for row in rows]
