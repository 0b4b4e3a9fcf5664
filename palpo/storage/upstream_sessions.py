"""What was begun by sessions that users have elsewhere: devices, login tokens, browsers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, null, select, update

from palpo.core.identifiers import UserId
from palpo.db.statements import Statement, insert_row
from palpo.db.tables.accounts import login_tokens
from palpo.db.tables.upstream_sessions import upstream_sessions
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamSession:
    """One sign-on."""

    token_hash: bytes
    """Of the login token, or of the browser's."""
    auth_provider: str
    subject: str
    """Who it is there, by the provider's own word."""
    upstream_id: str | None = None
    """The session there, where the provider says which."""
    user_id: UserId
    device_id: str | None = None
    """The device that logged in by it."""
    expires_ts: int | None
    """In milliseconds; None for what ends with its device."""
    refresh_token: str | None = None
    """Sealed: what the provider is asked with whether the session goes on."""
    ask_ts: int | None = None
    """When that is due; None for never."""


_u = upstream_sessions.c
_SESSIONS = Records(UpstreamSession, upstream_sessions)
_INSERT = insert_row(upstream_sessions)
_BY_TOKEN = _u.token_hash == bindparam("hash")
_CLAIM = Statement(
    update(upstream_sessions).where(_BY_TOKEN).values(device_id=bindparam("device"), expires_ts=null())
)
_SUPERSEDED = Statement(
    delete(upstream_sessions).where(
        _u.user_id == bindparam("user"), _u.device_id == bindparam("device"), ~_BY_TOKEN
    )
)
_OF_SUBJECT = Statement(
    select(*_SESSIONS.columns).where(
        _u.auth_provider == bindparam("provider"), _u.subject == bindparam("subject")
    )
)
_OF_SESSION = Statement(
    select(*_SESSIONS.columns).where(
        _u.auth_provider == bindparam("provider"), _u.upstream_id == bindparam("session")
    )
)
_FIND = Statement(select(*_SESSIONS.columns).where(_BY_TOKEN))
_DUE = Statement(
    select(*_SESSIONS.columns)
    .where(_u.ask_ts <= bindparam("now"))
    .order_by(_u.ask_ts)
    .limit(bindparam("limit"))
)
_RENEW = Statement(
    update(upstream_sessions)
    .where(_BY_TOKEN)
    .values(refresh_token=bindparam("refresh"), ask_ts=bindparam("ask"))
)
_DELETE = Statement(delete(upstream_sessions).where(_BY_TOKEN))
_DELETE_LOGIN_TOKEN = Statement(delete(login_tokens).where(login_tokens.c.token_hash == bindparam("hash")))
_PRUNE = Statement(delete(upstream_sessions).where(_u.expires_ts <= bindparam("now")))


async def insert(tx: WriteTransaction, session: UpstreamSession) -> None:
    """Store what a sign-on has just become."""
    await tx.run(_INSERT, **_SESSIONS.values(session))


async def claim(tx: WriteTransaction, token_hash: bytes, user_id: UserId, device_id: str) -> None:
    """Note which device has logged in by a token; what the device had been logged in by before is over."""
    await tx.run(_CLAIM, hash=token_hash, device=device_id)
    await tx.run(_SUPERSEDED, user=user_id, device=device_id, hash=token_hash)


async def of_subject(tx: Transaction, provider: str, subject: str) -> list[UpstreamSession]:
    """All that somebody who is ``subject`` at a provider has begun here."""
    return _SESSIONS.all(await tx.all(_OF_SUBJECT, provider=provider, subject=subject))


async def of_session(tx: Transaction, provider: str, upstream_id: str) -> list[UpstreamSession]:
    """All that was begun here by one session at a provider."""
    return _SESSIONS.all(await tx.all(_OF_SESSION, provider=provider, session=upstream_id))


async def find(tx: Transaction, token_hash: bytes) -> UpstreamSession | None:
    """The sign-on by which a browser is signed in, or a login token was given out."""
    return _SESSIONS.one(await tx.one(_FIND, hash=token_hash))


async def due(tx: Transaction, *, now_ms: int, limit: int) -> list[UpstreamSession]:
    """Those about which the provider is to be asked, who has waited longest first."""
    return _SESSIONS.all(await tx.all(_DUE, now=now_ms, limit=limit))


async def renew(
    tx: WriteTransaction, token_hash: bytes, refresh_token: str | None, ask_ts: int | None
) -> None:
    """Note with what the provider is asked next, and when; None for never."""
    await tx.run(_RENEW, hash=token_hash, refresh=refresh_token, ask=ask_ts)


async def end(tx: WriteTransaction, session: UpstreamSession) -> None:
    """Forget a session, and the login token where nobody has used it; a device is removed by others."""
    await tx.run(_DELETE_LOGIN_TOKEN, hash=session.token_hash)
    await tx.run(_DELETE, hash=session.token_hash)


async def prune(tx: WriteTransaction, *, now_ms: int) -> None:
    """Forget those that have expired."""
    await tx.run(_PRUNE, now=now_ms)
