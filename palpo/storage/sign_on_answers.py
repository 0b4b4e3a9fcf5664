"""Answers of providers that have been taken."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, insert_row
from palpo.db.tables.upstream_sessions import sign_on_answers
from palpo.db.transaction import WriteTransaction

_a = sign_on_answers.c
_INSERT = insert_row(sign_on_answers)
_FIND = Statement(select(_a.answer_hash).where(_a.answer_hash == bindparam("hash")))
_PRUNE = Statement(delete(sign_on_answers).where(_a.expires_ts <= bindparam("now")))


async def take(tx: WriteTransaction, hash_: bytes, *, now_ms: int, expires_ts: int) -> bool:
    """Whether an answer is taken for the first time; until it expires it is not taken again."""
    await tx.run(_PRUNE, now=now_ms)
    if await tx.one(_FIND, hash=hash_) is not None:
        return False
    await tx.run(_INSERT, answer_hash=hash_, expires_ts=expires_ts)
    return True
