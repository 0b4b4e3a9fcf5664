"""The stages completed in user-interactive auth sessions, and what came of those that are spent."""

from __future__ import annotations

from dataclasses import dataclass

import orjson
from sqlalchemy import bindparam, delete, select

from palpo.core.identifiers import UserId
from palpo.db.statements import Statement, insert_row, upsert
from palpo.db.tables.accounts import uia_results, uia_sessions
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus

_SESSION = uia_sessions.c.session_id == bindparam("session")
_FIND = Statement(select(uia_sessions.c.completed).where(_SESSION))
_STORE = upsert(uia_sessions, key=["session_id"], update=["completed"])
_DELETE = Statement(delete(uia_sessions).where(_SESSION))
_SURPLUS = Surplus(uia_sessions, uia_sessions.c.created_ts)
_PRUNE = Statement(delete(uia_sessions).where(uia_sessions.c.created_ts < bindparam("before")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a session: an account and its device, or a response; times in milliseconds."""

    session_hash: bytes
    request_hash: bytes
    """Of the request that spent the session."""
    user_id: UserId | None = None
    device_id: str | None = None
    body: bytes = b""
    created_ts: int


_r = uia_results.c
_RESULTS = Records(Result, uia_results)
_RESULT = Statement(select(*_RESULTS.columns).where(_r.session_hash == bindparam("session")))
_KEEP = insert_row(uia_results)
_PRUNE_RESULTS = Statement(delete(uia_results).where(_r.created_ts < bindparam("before")))


async def result(tx: Transaction, session_hash: bytes) -> Result | None:
    """What came of a session; None for one that is not spent."""
    return _RESULTS.one(await tx.one(_RESULT, session=session_hash))


async def keep(tx: WriteTransaction, result: Result) -> None:
    """Store what came of a session; raises UniqueViolation where that is stored already."""
    await tx.run(_KEEP, **_RESULTS.values(result))


async def prune_results(tx: WriteTransaction, *, before_ts: int) -> None:
    """Forget the results of sessions that are no good any more."""
    await tx.run(_PRUNE_RESULTS, before=before_ts)


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


async def forget_oldest(tx: WriteTransaction, *, keep: int) -> None:
    """Forget sessions but for the ``keep`` newest."""
    await _SURPLUS.forget(tx, keep=keep)


async def prune(tx: WriteTransaction, *, before_ts: int) -> None:
    """Forget sessions older than ``before_ts``."""
    await tx.run(_PRUNE, before=before_ts)
