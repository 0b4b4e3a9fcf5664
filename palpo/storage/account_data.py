"""Account data: what clients keep on the server for themselves."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import bindparam, func, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.account_data import account_data
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.surplus import Surplus
from palpo.storage.windows import within
from palpo.streams import topics

a = account_data.c

_PUT = upsert(account_data, key=["user_id", "room_id", "type"])
_USER = a.user_id == bindparam("user_id")
_THIS = _USER & (a.room_id == bindparam("room_id")) & (a.type == bindparam("type"))
_GET = Statement(select(a.content).where(_THIS))
_OWN = Statement(
    select(a.type, a.content).where(_USER, a.room_id == "", in_list(a.type, "types"), a.content.is_not(None))
)
_ALL = Statement(
    select(a.room_id, a.type, a.content)
    .where(_USER, a.position <= bindparam("upto"), a.content.is_not(None))
    .order_by(a.position)
)
_CHANGED = Statement(
    select(a.room_id, a.type, a.content).where(_USER, within(a.position)).order_by(a.position)
)
_SIZE = Statement(select(func.length(a.content)).where(_THIS))
_DELETED = Surplus(account_data, a.position, _USER, a.content.is_(None))


async def put(
    tx: WriteTransaction,
    user_id: str,
    room_id: str | None,
    type_: str,
    content: bytes | None,
    position: int,
) -> None:
    """Store content, a JSON object, at a position of the stream; None deletes it."""
    await tx.run(_PUT, user_id=user_id, room_id=room_id or "", type=type_, content=content, position=position)
    tx.notify(topics.USER, user_id)
    tx.notify(topics.ACCOUNT_DATA, user_id)


async def get(tx: Transaction, user_id: str, room_id: str | None, type_: str) -> bytes | None:
    """The content, None where there is none (any more)."""
    found: bytes | None = await tx.value(_GET, user_id=user_id, room_id=room_id or "", type=type_)
    return found


async def own(tx: Transaction, user_id: str, types: Collection[str]) -> dict[str, bytes]:
    """The content of each of ``types`` that is of no room; those of which there is none are left out."""
    return {row[0]: row[1] for row in await tx.all(_OWN, user_id=user_id, types=list(types))}


async def size(tx: Transaction, user_id: str, room_id: str | None, type_: str) -> int | None:
    """Bytes of the content, None where there is none (any more)."""
    found: int | None = await tx.value(_SIZE, user_id=user_id, room_id=room_id or "", type=type_)
    return found


async def forget_deleted(tx: WriteTransaction, user_id: str, *, keep: int) -> None:
    """Forget what was deleted, but for the ``keep`` latest: a device that was away for longer is not told."""
    await _DELETED.forget(tx, keep=keep, user_id=user_id)


async def changed(
    tx: Transaction, user_id: str, after: int, upto: int
) -> list[tuple[str | None, str, bytes]]:
    """``(room or None, type, content)`` of what changed at a position in ``(after, upto]``, in order.

    What has been deleted has the content ``{}``, and is left out where ``after`` is 0.
    """
    if after == 0:
        rows = await tx.all(_ALL, user_id=user_id, upto=upto)
    else:
        rows = await tx.all(_CHANGED, user_id=user_id, after=after, upto=upto)
    return [(row[0] or None, row[1], b"{}" if row[2] is None else row[2]) for row in rows]
