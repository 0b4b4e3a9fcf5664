"""Access tokens and whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import bindparam, delete, select, update

from palpo.core.identifiers import UserId
from palpo.core.records.accounts import FLAGS, Flags
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.accounts import access_tokens, rate_limit_overrides, users
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.streams import topics

a = access_tokens.c


def token_hash(token: str) -> bytes:
    """The 32 bytes that stand for ``token`` in the database."""
    return blake2b(token.encode("utf-8", "replace"), digest_size=32).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session(Flags):
    """What an access token stands for. Times are milliseconds since the Unix epoch."""

    token_hash: bytes
    user_id: UserId
    device_id: str | None
    expires_ts: int | None
    used: bool
    per_second: int | None = None
    """What the user may do in place of what the configuration says; where both are 0, anything."""
    burst: int | None = None


_SESSIONS = Records(
    Session,
    access_tokens,
    **{name: users.c[name] for name in FLAGS},
    per_second=rate_limit_overrides.c.per_second,
    burst=rate_limit_overrides.c.burst,
)
_FIND = Statement(
    select(*_SESSIONS.columns)
    .join(users, users.c.user_id == a.user_id)
    .outerjoin(rate_limit_overrides, rate_limit_overrides.c.user_id == a.user_id)
    .where(a.token_hash == bindparam("hash"))
)
_INSERT = insert_row(access_tokens)
_USED = Statement(update(access_tokens).where(a.token_hash == bindparam("hash")).values(used=1))
_OF_DEVICE = (a.user_id == bindparam("user_id")) & (a.device_id == bindparam("device_id"))
_ANY_OF_DEVICE = Statement(select(a.token_hash).where(_OF_DEVICE).limit(1))
_DELETE_OTHERS = Statement(
    delete(access_tokens).where(
        _OF_DEVICE,
        a.refresh_hash.is_not(None),
        a.token_hash != bindparam("hash"),
    )
)
_DELETE_STALE = Statement(
    delete(access_tokens).where(_OF_DEVICE, a.used == 0, a.expires_ts <= bindparam("now"))
)
_DELETE = Statement(delete(access_tokens).where(a.token_hash == bindparam("hash")))
_DELETE_DEVICE = Statement(delete(access_tokens).where(_OF_DEVICE))
_DELETE_USER = Statement(delete(access_tokens).where(a.user_id == bindparam("user_id"), a.made_by.is_(None)))
_MADE_BY = a.made_by == bindparam("admin")
_BEHIND = Statement(select(a.user_id).where(_MADE_BY).distinct())
_DELETE_MADE_BY = Statement(delete(access_tokens).where(_MADE_BY))


async def find(tx: Transaction, hash_: bytes) -> Session | None:
    """The session of an access token's hash."""
    return _SESSIONS.one(await tx.one(_FIND, hash=hash_))


async def has_token(tx: Transaction, user_id: str, device_id: str | None) -> bool:
    """Whether a device has any access token."""
    return await tx.one(_ANY_OF_DEVICE, user_id=user_id, device_id=device_id) is not None


async def insert(
    tx: WriteTransaction,
    *,
    access_token: str,
    refresh_token: str | None,
    user_id: str,
    device_id: str | None,
    created_ts: int,
    expires_ts: int | None,
    used: bool = True,
    made_by: str | None = None,
) -> None:
    """Store a new access token, and the refresh token that goes with it if there is one.

    ``used`` is False where the first use of the token is to revoke an older one, ``made_by`` the
    administrator who logs in as the user.
    """
    await tx.run(
        _INSERT,
        token_hash=token_hash(access_token),
        refresh_hash=token_hash(refresh_token) if refresh_token else None,
        user_id=user_id,
        device_id=device_id,
        created_ts=created_ts,
        expires_ts=expires_ts,
        used=int(used),
        made_by=made_by,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Refresh:
    """What a refresh token stands for; ``used`` says whether its access token has been presented."""

    token_hash: bytes
    user_id: UserId
    device_id: str
    used: bool


_REFRESHES = Records(Refresh, access_tokens)
_REFRESH = Statement(select(*_REFRESHES.columns).where(a.refresh_hash == bindparam("hash")))


async def find_refresh(tx: Transaction, refresh_token: str) -> Refresh | None:
    """What ``refresh_token`` stands for."""
    return _REFRESHES.one(await tx.one(_REFRESH, hash=token_hash(refresh_token)))


async def mark_used(tx: WriteTransaction, hash_: bytes, user_id: str, device_id: str | None) -> None:
    """Note that the token, or its refresh token, is in use: what it was refreshed from is revoked."""
    await tx.run(_USED, hash=hash_)
    await tx.run(_DELETE_OTHERS, hash=hash_, user_id=user_id, device_id=device_id)
    tx.notify(topics.SESSION, user_id)


async def delete_stale(tx: WriteTransaction, user_id: str, device_id: str, *, now_ms: int) -> None:
    """Delete the device's tokens that expired without ever being presented."""
    await tx.run(_DELETE_STALE, user_id=user_id, device_id=device_id, now=now_ms)


async def delete_token(tx: WriteTransaction, session: Session) -> None:
    """Revoke one access token."""
    await tx.run(_DELETE, hash=session.token_hash)
    tx.notify(topics.SESSION, session.user_id)


async def delete_device(tx: WriteTransaction, user_id: str, device_id: str) -> None:
    """Revoke every access token of a device."""
    await tx.run(_DELETE_DEVICE, user_id=user_id, device_id=device_id)
    tx.notify(topics.SESSION, user_id)


async def delete_user(tx: WriteTransaction, user_id: str) -> None:
    """Revoke every access token of a user, but for those of administrators who have logged in as them.

    Those go by which the user, as an administrator, has logged in as others.
    """
    await tx.run(_DELETE_USER, user_id=user_id)
    tx.notify(topics.SESSION, user_id)
    await delete_made_by(tx, user_id)


async def delete_made_by(tx: WriteTransaction, admin: str) -> None:
    """Revoke the access tokens by which an administrator has logged in as others."""
    behind = [row[0] for row in await tx.all(_BEHIND, admin=admin)]
    if behind:
        await tx.run(_DELETE_MADE_BY, admin=admin)
        tx.notify(topics.SESSION, *behind)
