"""The stages completed in user-interactive auth sessions."""

from __future__ import annotations

import orjson
from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.accounts import uia_sessions
from palpo.db.transaction import Transaction, WriteTransaction

_SESSION = uia_sessions.c.session_id == bindparam("session")
_FIND = Statement(select(uia_sessions.c.completed).where(_SESSION))
_STORE = upsert(uia_sessions, key=["session_id"], update=["completed"])
_DELETE = Statement(delete(uia_sessions).where(_SESSION))
_PRUNE = Statement(delete(uia_sessions).where(uia_sessions.c.created_ts < bindparam("before")))


async def completed(tx: Transaction, session: str) -> list[str] | None:
    """The types of the stages completed, in order; None where there are none."""
    row = await tx.one(_FIND, session=session)
    if row is None:
        return None
    stages: list[str] = orjson.loads(row[0])
    return stages


async def store(tx: WriteTransaction, session: str, stages: list[str], *, created_ts: int) -> None:
    """Store the stages completed."""
    await tx.run(_STORE, session_id=session, completed=orjson.dumps(stages), created_ts=created_ts)


async def forget(tx: WriteTransaction, session: str) -> bool:
    """Forget a session; whether there was anything to forget."""
    return await tx.run(_DELETE, session=session) > 0


async def prune(tx: WriteTransaction, *, before_ts: int) -> None:
    """Forget sessions older than ``before_ts``."""
    await tx.run(_PRUNE, before=before_ts)
