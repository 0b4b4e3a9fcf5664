"""Redactions that wait for the event that they redact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.rooms import pending_redactions
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRedaction:
    """A redaction whose target is not here."""

    target_id: str
    redaction_id: str
    may_redact_others: bool


p = pending_redactions.c
_RECORDS = Records(PendingRedaction, pending_redactions)
_PUT = upsert(pending_redactions, key=["target_id", "redaction_id"])
_OF = Statement(select(*_RECORDS.columns).where(in_list(p.target_id, "targets")).order_by(p.redaction_id))
_DELETE = Statement(delete(pending_redactions).where(p.target_id == bindparam("target")))


async def put(tx: WriteTransaction, redaction: PendingRedaction) -> None:
    """Have a redaction wait."""
    await tx.many(_PUT, [_RECORDS.values(redaction)])


async def take(tx: WriteTransaction, targets: Sequence[str]) -> list[PendingRedaction]:
    """What has been waiting for these events, and waits no longer."""
    found = _RECORDS.all(await tx.all(_OF, targets=list(targets)))
    for target in {item.target_id for item in found}:
        await tx.run(_DELETE, target=target)
    return found


async def waiting(tx: Transaction, target: str) -> list[PendingRedaction]:
    """What waits for an event."""
    return _RECORDS.all(await tx.all(_OF, targets=[target]))
