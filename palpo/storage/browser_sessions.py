"""Browsers that users are signed in with."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, select, update

from palpo.core.records.accounts import FLAGS
from palpo.core.records.browser_sessions import BrowserSession
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.accounts import users
from palpo.db.tables.browser_sessions import browser_sessions
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus

c = browser_sessions.c


_RECORDS = Records(BrowserSession, browser_sessions, **{name: users.c[name] for name in FLAGS})
_OF_USER = c.user_id == bindparam("user")
_GOOD = (c.expires_ts > bindparam("now"), users.c.deactivated == 0, users.c.locked == 0)
_FIND = Statement(
    select(*_RECORDS.columns)
    .join(users, users.c.user_id == c.user_id)
    .where(c.token_hash == bindparam("hash"), *_GOOD)
)
_LIST = Statement(
    select(*_RECORDS.columns)
    .join(users, users.c.user_id == c.user_id)
    .where(_OF_USER, *_GOOD)
    .order_by(c.last_used_ts.desc(), c.session_id)
)
_INSERT = insert_row(browser_sessions)
_USED = Statement(
    update(browser_sessions).where(c.token_hash == bindparam("hash")).values(last_used_ts=bindparam("now"))
)
_DELETE = Statement(delete(browser_sessions).where(c.token_hash == bindparam("hash")))
_DELETE_NAMED = Statement(delete(browser_sessions).where(c.session_id == bindparam("session"), _OF_USER))
_DELETE_USER = Statement(delete(browser_sessions).where(_OF_USER))
_PRUNE = Statement(delete(browser_sessions).where(c.expires_ts <= bindparam("now")))
_SURPLUS = Surplus(browser_sessions, c.last_used_ts, _OF_USER)


async def find(tx: Transaction, hash_: bytes, *, now_ms: int) -> BrowserSession | None:
    """The session of a token's hash, if it is good, and its user too."""
    return _RECORDS.one(await tx.one(_FIND, hash=hash_, now=now_ms))


async def of_user(tx: Transaction, user_id: str, *, now_ms: int) -> list[BrowserSession]:
    """A user's sessions, the last used first."""
    return _RECORDS.all(await tx.all(_LIST, user=user_id, now=now_ms))


async def insert(tx: WriteTransaction, new: BrowserSession, *, most: int) -> None:
    """Store a session; of its user's, the ``most`` last used are kept, and none that has expired."""
    values = _RECORDS.values(new)
    await tx.run(_PRUNE, now=new.created_ts)
    await tx.run(_INSERT, **{name: value for name, value in values.items() if name not in FLAGS})
    await _SURPLUS.forget(tx, keep=most, user=new.user_id)


async def used(tx: WriteTransaction, hash_: bytes, *, now_ms: int) -> None:
    """Note that a session is in use."""
    await tx.run(_USED, hash=hash_, now=now_ms)


async def delete_token(tx: WriteTransaction, hash_: bytes) -> None:
    """End a session."""
    await tx.run(_DELETE, hash=hash_)


async def delete_named(tx: WriteTransaction, user_id: str, session_id: str) -> None:
    """End one of a user's sessions by its name."""
    await tx.run(_DELETE_NAMED, user=user_id, session=session_id)


async def delete_user(tx: WriteTransaction, user_id: str) -> None:
    """End all sessions of a user."""
    await tx.run(_DELETE_USER, user=user_id)
