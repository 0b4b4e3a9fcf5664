"""How far an import from Synapse has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.synapse_import import synapse_import
from palpo.db.transaction import Transaction, WriteTransaction

s = synapse_import.c
_PUT = upsert(synapse_import, key=["step"])
_GET = Statement(
    select(s.checkpoint, s.done_rows, s.total_rows, s.done).where(s.step == bindparam("of_step"))
)
WHOLE = ""
"""The step that stands for all of them: it is begun first, and done last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a step is."""

    after: Any = None
    """JSON: what was stored last; None before anything is."""
    rows: int = 0
    total: int = 0
    done: bool = False


async def get(tx: Transaction, step: str) -> Checkpoint | None:
    """Where a step is, if it was begun."""
    row = await tx.one(_GET, of_step=step)
    if row is None:
        return None
    return Checkpoint(after=orjson.loads(row[0]), rows=row[1], total=row[2], done=bool(row[3]))


async def put(tx: WriteTransaction, step: str, checkpoint: Checkpoint, now_ms: int) -> None:
    """A step has come so far."""
    values = {
        "step": step,
        "checkpoint": orjson.dumps(checkpoint.after),
        "done_rows": checkpoint.rows,
        "total_rows": checkpoint.total,
        "done": int(checkpoint.done),
        "changed_ts": now_ms,
    }
    await tx.many(_PUT, [values])


async def is_begun(tx: Transaction) -> bool:
    """Whether there is, or was, an import."""
    return await get(tx, WHOLE) is not None


async def is_unfinished(tx: Transaction) -> bool:
    """Whether one was begun, and has not come to its end."""
    whole = await get(tx, WHOLE)
    return whole is not None and not whole.done
