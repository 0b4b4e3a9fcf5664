"""Where two devices leave each other messages for a minute."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from palpo.core.records.rendezvous import Rendezvous
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.rendezvous import rendezvous
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus

c = rendezvous.c

_RECORDS = Records(Rendezvous, rendezvous)
_INSERT = insert_row(rendezvous)
_ONE = c.rendezvous_id == bindparam("id")
_FIND = Statement(select(*_RECORDS.columns).where(_ONE, c.expires_ts > bindparam("now")))
_REPLACE = Statement(
    update(rendezvous)
    .where(_ONE, c.sequence == bindparam("old"))
    .values(sequence=bindparam("new"), data=bindparam("new_data"), modified_ts=bindparam("now"))
)
_DELETE = Statement(delete(rendezvous).where(_ONE))
_PRUNE = Statement(delete(rendezvous).where(c.expires_ts <= bindparam("now")))
_SURPLUS = Surplus(rendezvous, c.expires_ts)


async def insert(tx: WriteTransaction, new: Rendezvous) -> None:
    """Store one; those that have expired go."""
    await tx.run(_PRUNE, now=new.modified_ts)
    await tx.run(_INSERT, **_RECORDS.values(new))


async def forget_oldest(tx: WriteTransaction, *, keep: int) -> None:
    """Forget all but the ``keep`` newest."""
    await _SURPLUS.forget(tx, keep=keep)


async def find(tx: Transaction, rendezvous_id: str, *, now_ms: int) -> Rendezvous | None:
    """One that has not expired."""
    return _RECORDS.one(await tx.one(_FIND, id=rendezvous_id, now=now_ms))


async def replace(
    tx: WriteTransaction, rendezvous_id: str, *, old: str, new: str, data: bytes, now_ms: int
) -> bool:
    """Leave other data where ``old`` is what names those that are there; whether it was."""
    return await tx.run(_REPLACE, id=rendezvous_id, old=old, new=new, new_data=data, now=now_ms) > 0


async def remove(tx: WriteTransaction, rendezvous_id: str) -> bool:
    """Whether it was there."""
    return await tx.run(_DELETE, id=rendezvous_id) > 0
