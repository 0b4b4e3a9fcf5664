"""What administrators did."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, func, select

from palpo.db.statements import Statement, insert_row
from palpo.db.tables.audit_log import audit_log
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

c = audit_log.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Something that an administrator did, or tried to."""

    position: int
    """Also its ID; 0 before it is stored."""
    at_ts: int
    """Milliseconds since the Unix epoch."""
    actor: str
    """A user ID, or the name of an account of the machine, for what was done from the shell."""
    via: str
    """``api``, ``web`` or ``shell``."""
    action: str
    """The operation ID, or the words of a command."""
    target: str
    """What it was done to: a user, a room, a file…; empty for the server as such."""
    details: bytes
    """What was asked for, as JSON, without secrets."""
    status: int
    """200 for what was done, and for what was refused that of the error."""
    address: str
    """The client's; empty for the shell."""


_RECORDS = Records(Entry, audit_log)
_INSERT = insert_row(audit_log)
_NEWEST = Statement(
    select(*_RECORDS.columns)
    .where(c.position < bindparam("before"))
    .order_by(c.position.desc())
    .limit(bindparam("limit"))
)
_NEWEST_OF = Statement(
    select(*_RECORDS.columns)
    .where(c.actor == bindparam("actor"), c.position < bindparam("before"))
    .order_by(c.position.desc())
    .limit(bindparam("limit"))
)
_COUNT = Statement(select(func.count()).select_from(audit_log))


async def insert(tx: WriteTransaction, new: Entry) -> int:
    """Store an entry; returns its ID."""
    position = await tx.positions()
    await tx.run(_INSERT, **{**_RECORDS.values(new), "position": position})
    return position


async def newest(tx: Transaction, *, before: int, limit: int, actor: str | None = None) -> list[Entry]:
    """Entries with IDs below ``before``, newest first; of one actor, if that is given."""
    if actor is None:
        return _RECORDS.all(await tx.all(_NEWEST, before=before, limit=limit))
    return _RECORDS.all(await tx.all(_NEWEST_OF, actor=actor, before=before, limit=limit))


async def count(tx: Transaction) -> int:
    """How many entries there are."""
    return int(await tx.value(_COUNT))
