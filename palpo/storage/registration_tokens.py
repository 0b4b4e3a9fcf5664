"""Registration tokens and the registrations that use them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from palpo.db.statements import Statement, in_list, insert_row, upsert
from palpo.db.tables.registration_tokens import registration_token_uses, registration_tokens
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.accounts import pattern_of
from palpo.storage.records import Records

t = registration_tokens.c
u = registration_token_uses.c


class RegistrationToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token. Times are milliseconds since the Unix epoch.

    ``uses_allowed`` None is any number; ``completed`` are the accounts made with it; ``expires_ts`` None is
    never.
    """

    token: str
    uses_allowed: int | None
    completed: int = 0
    expires_ts: int | None
    created_ts: int


_RECORDS = Records(RegistrationToken, registration_tokens)
_TOKEN = t.token == bindparam("key")
_SESSION = u.uia_session == bindparam("session")
_INSERT = insert_row(registration_tokens)
_FIND = Statement(select(*_RECORDS.columns).where(_TOKEN))
_ALL = Statement(select(*_RECORDS.columns).order_by(t.created_ts, t.token))
_EDIT = Statement(
    update(registration_tokens)
    .where(_TOKEN)
    .values(uses_allowed=bindparam("uses"), expires_ts=bindparam("expires"))
)
_LIKE = func.lower(t.token).like(bindparam("pattern"), escape="!")
_PAGE = Statement(
    select(*_RECORDS.columns)
    .where(_LIKE)
    .order_by(t.created_ts.desc(), t.token.desc())
    .limit(bindparam("limit"))
    .offset(bindparam("skipped"))
)
_TOTAL = Statement(select(func.count()).select_from(registration_tokens).where(_LIKE))
_ALL_HELD = Statement(select(u.token, func.count()).group_by(u.token))
_HELD_OF = Statement(select(u.token, func.count()).where(in_list(u.token, "tokens")).group_by(u.token))
_ANY = Statement(select(t.token).limit(1))
_DELETE = Statement(delete(registration_tokens).where(_TOKEN))
_COMPLETE = Statement(update(registration_tokens).where(_TOKEN).values(completed=t.completed + 1))
_HOLD = upsert(registration_token_uses, key=["uia_session"])
_HELD = Statement(
    select(func.count()).where(u.token == bindparam("key"), u.uia_session != bindparam("session"))
)
_OF_SESSION = Statement(select(u.token).where(_SESSION))
_LET_GO = Statement(delete(registration_token_uses).where(_SESSION))
_PRUNE = Statement(delete(registration_token_uses).where(u.created_ts < bindparam("before")))


async def insert(tx: WriteTransaction, new: RegistrationToken) -> bool:
    """Store a token; False where there is one of that name."""
    if await find(tx, new.token) is not None:
        return False
    await tx.run(_INSERT, **_RECORDS.values(new))
    return True


async def find(tx: Transaction, token: str) -> RegistrationToken | None:
    """A token."""
    return _RECORDS.one(await tx.one(_FIND, key=token))


async def find_all(tx: Transaction) -> list[RegistrationToken]:
    """Every token, oldest first."""
    return _RECORDS.all(await tx.all(_ALL))


async def page(tx: Transaction, search: str, *, skipped: int, limit: int) -> list[RegistrationToken]:
    """Some tokens with ``search`` in them, whatever its case, the newest first."""
    return _RECORDS.all(await tx.all(_PAGE, pattern=_pattern(search), skipped=skipped, limit=limit))


async def total(tx: Transaction, search: str) -> int:
    """How many of these there are."""
    return int(await tx.value(_TOTAL, pattern=_pattern(search)))


async def edit(tx: WriteTransaction, token: str, *, uses_allowed: int | None, expires_ts: int | None) -> None:
    """Change how often and until when a token may be used."""
    await tx.run(_EDIT, key=token, uses=uses_allowed, expires=expires_ts)


async def all_pending(tx: Transaction) -> dict[str, int]:
    """How many registrations hold a use of each token; those that none holds are left out."""
    return {row[0]: int(row[1]) for row in await tx.all(_ALL_HELD)}


async def pending_of(tx: Transaction, tokens: Iterable[str]) -> dict[str, int]:
    """The same of some of them."""
    return {row[0]: int(row[1]) for row in await tx.all(_HELD_OF, tokens=list(tokens))}


async def any_token(tx: Transaction) -> bool:
    """Whether there is any, used up or not."""
    return await tx.one(_ANY) is not None


async def remove(tx: WriteTransaction, token: str) -> bool:
    """Delete a token; whether it was there."""
    return await tx.run(_DELETE, key=token) > 0


async def pending(tx: Transaction, token: str, *, except_session: str = "") -> int:
    """How many registrations hold a use of a token."""
    return int(await tx.value(_HELD, key=token, session=except_session))


async def hold(tx: WriteTransaction, token: str, uia_session: str, now_ms: int) -> None:
    """Have a registration hold a use."""
    await tx.run(_HOLD, uia_session=uia_session, token=token, created_ts=now_ms)


async def complete(tx: WriteTransaction, uia_session: str) -> None:
    """Count the use that a registration holds, if it holds one."""
    token = await tx.value(_OF_SESSION, session=uia_session)
    if token is not None:
        await tx.run(_LET_GO, session=uia_session)
        await tx.run(_COMPLETE, key=token)


async def prune(tx: WriteTransaction, before_ms: int) -> None:
    """Let go of the uses that have been held since before ``before_ms``."""
    await tx.run(_PRUNE, before=before_ms)


def _pattern(search: str) -> str:
    return f"%{pattern_of(search)}%"
