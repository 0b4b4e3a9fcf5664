"""OpenID tokens."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select

from palpo.db.statements import Statement, insert_row
from palpo.db.tables.accounts import users
from palpo.db.tables.openid import openid_tokens
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.sessions import token_hash

_INSERT = insert_row(openid_tokens)
_FIND = Statement(
    select(openid_tokens.c.user_id)
    .join(users, users.c.user_id == openid_tokens.c.user_id)
    .where(
        openid_tokens.c.token_hash == bindparam("hash"),
        openid_tokens.c.expires_ts > bindparam("now"),
        users.c.deactivated == 0,
        users.c.locked == 0,
    )
)
_PRUNE = Statement(delete(openid_tokens).where(openid_tokens.c.expires_ts <= bindparam("now")))


async def insert(tx: WriteTransaction, token: str, user_id: str, *, expires_ts: int, now_ms: int) -> None:
    """Store a new token, and forget those that have expired."""
    await tx.run(_PRUNE, now=now_ms)
    await tx.run(_INSERT, token_hash=token_hash(token), user_id=user_id, expires_ts=expires_ts)


async def find(tx: Transaction, token: str, *, now_ms: int) -> str | None:
    """Whose token it is; None where it is unknown, has expired, or the account is locked or gone."""
    user_id: str | None = await tx.value(_FIND, hash=token_hash(token), now=now_ms)
    return user_id
