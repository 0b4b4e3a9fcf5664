"""What the current state of a room was, where no event of its timeline says so."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, in_list, insert_row
from palpo.db.tables.rooms import room_roots
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.windows import within

r = room_roots.c
_PUT = insert_row(room_roots)
_AT = Statement(
    select(r.position, r.state_root)
    .where(r.room_id == bindparam("room_id"), r.position <= bindparam("upto"))
    .order_by(r.position.desc())
    .limit(1)
)

_CHANGED = Statement(select(r.room_id).distinct().where(in_list(r.room_id, "room_ids"), within(r.position)))


async def put(tx: WriteTransaction, roots: Mapping[str, tuple[int, bytes]]) -> None:
    """Note by room the position at which its current state became another, and the root of that."""
    rows = [
        {"room_id": room_id, "position": position, "state_root": root}
        for room_id, (position, root) in roots.items()
    ]
    await tx.many(_PUT, rows)


async def at(tx: Transaction, room_id: str, upto: int) -> tuple[int, bytes] | None:
    """``(position, root)`` of the last such change at or below a position."""
    row = await tx.one(_AT, room_id=room_id, upto=upto)
    return None if row is None else (row[0], row[1])


async def changed(tx: Transaction, room_ids: Collection[str], *, after: int, upto: int) -> list[str]:
    """Those of some rooms in which there was such a change at a position in ``(after, upto]``."""
    if not room_ids:
        return []
    return [row[0] for row in await tx.all(_CHANGED, room_ids=list(room_ids), after=after, upto=upto)]
