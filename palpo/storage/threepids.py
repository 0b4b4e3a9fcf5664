"""Third-party identifiers: whose they are, who was told of them, and which are being validated."""

from __future__ import annotations

from hashlib import blake2b

import msgspec
from sqlalchemy import bindparam, delete, func, select, update

from palpo.core.identifiers import UserId
from palpo.db.statements import Statement, insert_row, upsert
from palpo.db.tables.threepids import threepid_bindings, threepid_sessions, threepids
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

t = threepids.c
b = threepid_bindings.c
v = threepid_sessions.c


class ThirdPartyId(msgspec.Struct, frozen=True, kw_only=True):
    """An identifier of an account. Times are milliseconds since the Unix epoch."""

    medium: str
    address: str
    user_id: UserId
    validated_ts: int
    added_ts: int


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """An identity server was told that an identifier is a user's."""

    user_id: UserId
    medium: str
    address: str
    id_server: str

    @property
    def hash(self) -> bytes:
        """16 bytes that stand for it."""
        return _hash(self.user_id, self.medium, self.address, self.id_server)


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A validation; ``validated_ts`` is None until the token has come back."""

    session_id: str
    purpose: str
    medium: str
    address: str
    client_secret: str
    token_hash: bytes
    send_attempt: int
    sent: int
    """Messages that were sent."""
    next_link: str | None
    uia_session: str | None
    validated_ts: int | None
    expires_ts: int


_THREEPIDS = Records(ThirdPartyId, threepids)
_ADDRESS = (t.medium == bindparam("medium"), t.address == bindparam("address"))
_OWNER = Statement(select(t.user_id).where(*_ADDRESS))
_INSERT = insert_row(threepids)
_OF_USER = Statement(
    select(*_THREEPIDS.columns).where(t.user_id == bindparam("user")).order_by(t.added_ts, t.address)
)
_DELETE = Statement(delete(threepids).where(*_ADDRESS, t.user_id == bindparam("user")))

_BOUND = Records(Binding, threepid_bindings)
_BIND = upsert(threepid_bindings, key=["binding_hash"], update=())
_BINDINGS = Statement(select(*_BOUND.columns).where(b.user_id == bindparam("user")))
_UNBIND = Statement(delete(threepid_bindings).where(b.binding_hash == bindparam("binding")))

_SESSIONS = Records(Session, threepid_sessions)
_THIS = v.session_id == bindparam("session")
_PUT_SESSION = upsert(threepid_sessions, key=["session_id"])
_SESSION = Statement(select(*_SESSIONS.columns).where(_THIS))
_BY_REQUEST = Statement(select(*_SESSIONS.columns).where(v.request_hash == bindparam("request")))
_BY_UIA = Statement(select(*_SESSIONS.columns).where(v.uia_session == bindparam("uia")))
_SENT = Statement(
    select(func.sum(v.sent)).where(v.address == bindparam("address"), v.expires_ts > bindparam("now"))
)
_VALIDATED = Statement(
    update(threepid_sessions).where(_THIS, v.validated_ts.is_(None)).values(validated_ts=bindparam("at"))
)
_SHOWN = Statement(update(threepid_sessions).where(_THIS).values(uia_session=bindparam("uia")))
_DELETE_SESSION = Statement(delete(threepid_sessions).where(_THIS))
_PRUNE = Statement(delete(threepid_sessions).where(v.expires_ts <= bindparam("now")))


async def owner(tx: Transaction, medium: str, address: str) -> UserId | None:
    """The user whose account has an identifier."""
    found: UserId | None = await tx.value(_OWNER, medium=medium, address=address)
    return found


async def add(tx: WriteTransaction, new: ThirdPartyId) -> bool:
    """Give an account an identifier; False where another account has it."""
    current = await owner(tx, new.medium, new.address)
    if current is None:
        await tx.run(_INSERT, **_THREEPIDS.values(new))
    return current in (None, new.user_id)


async def of_user(tx: Transaction, user_id: str) -> list[ThirdPartyId]:
    """A user's identifiers, oldest first."""
    return _THREEPIDS.all(await tx.all(_OF_USER, user=user_id))


async def remove(tx: WriteTransaction, user_id: str, medium: str, address: str) -> None:
    """Take an identifier from an account, if it has it."""
    await tx.run(_DELETE, medium=medium, address=address, user=user_id)


async def bind(tx: WriteTransaction, binding: Binding) -> None:
    """Note that an identity server was told."""
    await tx.run(_BIND, binding_hash=binding.hash, **_BOUND.values(binding))


async def unbind(tx: WriteTransaction, binding: Binding) -> None:
    """Note that an identity server has forgotten."""
    await tx.run(_UNBIND, binding=binding.hash)


async def bindings(tx: Transaction, user_id: str) -> list[Binding]:
    """What identity servers were told of a user."""
    return _BOUND.all(await tx.all(_BINDINGS, user=user_id))


async def put_session(tx: WriteTransaction, session: Session) -> None:
    """Store a validation."""
    request = _hash(session.purpose, session.medium, session.address, session.client_secret)
    await tx.run(_PUT_SESSION, request_hash=request, **_SESSIONS.values(session))


async def session(tx: Transaction, session_id: str) -> Session | None:
    """A validation."""
    return _SESSIONS.one(await tx.one(_SESSION, session=session_id))


async def session_of_request(
    tx: Transaction, purpose: str, medium: str, address: str, client_secret: str
) -> Session | None:
    """The validation that the same request has begun before."""
    request = _hash(purpose, medium, address, client_secret)
    return _SESSIONS.one(await tx.one(_BY_REQUEST, request=request))


async def session_of_uia(tx: Transaction, uia_session: str) -> Session | None:
    """The validation that was shown in a user-interactive auth session."""
    return _SESSIONS.one(await tx.one(_BY_UIA, uia=uia_session))


async def count_sent(tx: Transaction, address: str, now_ms: int) -> int:
    """How many messages went to an address for the validations that are under way."""
    return int(await tx.value(_SENT, address=address, now=now_ms) or 0)


async def validate(tx: WriteTransaction, session_id: str, now_ms: int) -> None:
    """The token has come back."""
    await tx.run(_VALIDATED, session=session_id, at=now_ms)


async def shown(tx: WriteTransaction, session_id: str, uia_session: str) -> None:
    """Note in which user-interactive auth session a validation was shown."""
    await tx.run(_SHOWN, session=session_id, uia=uia_session)


async def end_session(tx: WriteTransaction, session_id: str) -> bool:
    """Forget a validation, which was used; whether it was there."""
    return await tx.run(_DELETE_SESSION, session=session_id) > 0


async def prune(tx: WriteTransaction, now_ms: int) -> None:
    """Forget the validations whose time is over."""
    await tx.run(_PRUNE, now=now_ms)


def _hash(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).digest()
