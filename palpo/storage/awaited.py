"""Events that have been waited for: others that are here come after them, or redactions of them do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import literal_column, select, union_all

from palpo.db.statements import Statement, in_list
from palpo.db.tables.rooms import event_edges, pending_redactions
from palpo.db.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Awaited:
    """Some of the events that have come."""

    missing: list[str]
    """Those that are noted as missing."""
    redacted: list[str]
    """Those for which redactions wait."""


_prev, _target = event_edges.c.prev_event_id, pending_redactions.c.target_id
_FIND = Statement(
    union_all(
        select(_prev, literal_column("0")).where(in_list(_prev, "ids")).distinct(),
        select(_target, literal_column("1")).where(in_list(_target, "ids")).distinct(),
    )
)


async def find(tx: Transaction, event_ids: Collection[str]) -> Awaited:
    """Those of the events that are: of most nobody has heard before, so one statement looks for all of it."""
    rows = await tx.all(_FIND, ids=list(event_ids))
    return Awaited([row[0] for row in rows if not row[1]], [row[0] for row in rows if row[1]])
