"""The OAuth 2.0 API: its clients, codes and grants."""

from __future__ import annotations

import msgspec
from sqlalchemy import bindparam, delete, select, update

from palpo.core.oauth.clients import ClientMetadata
from palpo.core.records.oauth import PENDING, Client, Code, Consent, DeviceCode, Grant
from palpo.db.statements import Statement, insert_row, upsert
from palpo.db.tables.oauth import (
    oauth_clients,
    oauth_codes,
    oauth_consents,
    oauth_device_codes,
    oauth_grants,
)
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus

c, g = oauth_clients.c, oauth_grants.c
_DECODER = msgspec.json.Decoder(ClientMetadata)

_UPSERT_CLIENT = upsert(oauth_clients, key=["client_id"], update=["last_used_ts"])
_CLIENT = Statement(select(c.metadata).where(c.client_id == bindparam("client")))
_USED = Statement(
    update(oauth_clients).where(c.client_id == bindparam("client")).values(last_used_ts=bindparam("now"))
)
_UNUSED = (
    ~select(g.grant_id).where(g.client_id == c.client_id).exists(),
    ~select(oauth_codes.c.code_hash).where(oauth_codes.c.client_id == c.client_id).exists(),
    ~select(oauth_consents.c.user_id).where(oauth_consents.c.client_id == c.client_id).exists(),
    ~select(oauth_device_codes.c.code_hash).where(oauth_device_codes.c.client_id == c.client_id).exists(),
)
_OLD = Statement(
    select(c.client_id)
    .where(c.last_used_ts < bindparam("before"), *_UNUSED)
    .order_by(c.last_used_ts)
    .limit(bindparam("limit"))
)
_DELETE_CLIENT = Statement(delete(oauth_clients).where(c.client_id == bindparam("client")))
_NEWEST_CLIENTS = Statement(
    select(c.last_used_ts).order_by(c.last_used_ts.desc()).limit(1).offset(bindparam("keep"))
)

_CODES = Records(Code, oauth_codes)
_INSERT_CODE = insert_row(oauth_codes)
_CODE = Statement(select(*_CODES.columns).where(oauth_codes.c.code_hash == bindparam("hash")))
_DELETE_CODE = Statement(delete(oauth_codes).where(oauth_codes.c.code_hash == bindparam("hash")))
_PRUNE_CODES = Statement(delete(oauth_codes).where(oauth_codes.c.expires_ts <= bindparam("now")))
_SURPLUS_CODES = Surplus(oauth_codes, oauth_codes.c.expires_ts, oauth_codes.c.user_id == bindparam("user"))

d = oauth_device_codes.c
_DEVICE_CODES = Records(DeviceCode, oauth_device_codes)
_INSERT_DEVICE_CODE = insert_row(oauth_device_codes)
_DEVICE_CODE = Statement(select(*_DEVICE_CODES.columns).where(d.code_hash == bindparam("hash")))
_BY_USER_CODE = Statement(select(*_DEVICE_CODES.columns).where(d.user_code == bindparam("code")))
_POLLED = Statement(
    update(oauth_device_codes).where(d.code_hash == bindparam("hash")).values(polled_ts=bindparam("now"))
)
_DECIDE = Statement(
    update(oauth_device_codes)
    .where(d.user_code == bindparam("code"), d.state == PENDING, d.expires_ts > bindparam("now"))
    .values(user_id=bindparam("user"), state=bindparam("new"))
)
_DELETE_DEVICE_CODE = Statement(delete(oauth_device_codes).where(d.code_hash == bindparam("hash")))
_PRUNE_DEVICE_CODES = Statement(delete(oauth_device_codes).where(d.expires_ts <= bindparam("now")))
_SURPLUS_DEVICE_CODES = Surplus(oauth_device_codes, d.expires_ts)

_GRANTS = Records(Grant, oauth_grants)
_INSERT_GRANT = insert_row(oauth_grants)
_GRANT = Statement(select(*_GRANTS.columns).where(g.grant_id == bindparam("grant")))
_OF_DEVICE = (g.user_id == bindparam("user")) & (g.device_id == bindparam("device"))
_GRANT_OF_DEVICE = Statement(select(*_GRANTS.columns).where(_OF_DEVICE))
_GRANTS_OF_USER = Statement(select(*_GRANTS.columns).where(g.user_id == bindparam("user")))
_DELETE_OF_DEVICE = Statement(delete(oauth_grants).where(_OF_DEVICE))

t = oauth_consents.c
_CONSENTS = Records(Consent, oauth_consents)
_OF_USER = t.user_id == bindparam("user")
_CONSENT = Statement(select(*_CONSENTS.columns).where(_OF_USER, t.client_id == bindparam("client")))
_CONSENTS_OF = Statement(select(*_CONSENTS.columns).where(_OF_USER).order_by(t.granted_ts.desc()))
_PUT_CONSENT = upsert(oauth_consents, key=["user_id", "client_id"], update=["granted_ts"])
_DELETE_CONSENT = Statement(delete(oauth_consents).where(_OF_USER, t.client_id == bindparam("client")))
_SURPLUS_CONSENTS = Surplus(oauth_consents, t.granted_ts, _OF_USER)


async def put_client(tx: WriteTransaction, new: Client, hash_: bytes, *, now_ms: int) -> None:
    """Store a client, or note that one that is known has come again."""
    await tx.run(
        _UPSERT_CLIENT,
        client_id=new.client_id,
        metadata_hash=hash_,
        metadata=msgspec.json.encode(new.metadata),
        created_ts=now_ms,
        last_used_ts=now_ms,
    )


async def client(tx: Transaction, client_id: str) -> Client | None:
    """A client, as it registered."""
    said = await tx.value(_CLIENT, client=client_id)
    return None if said is None else Client(client_id=client_id, metadata=_DECODER.decode(said))


async def use_client(tx: WriteTransaction, client_id: str, *, now_ms: int) -> None:
    """Note that a client is in use."""
    await tx.run(_USED, client=client_id, now=now_ms)


async def forget_clients(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget clients that were not used since ``before_ts`` and have nothing; how many."""
    old = [row[0] for row in await tx.all(_OLD, before=before_ts, limit=limit)]
    for client_id in old:
        await tx.run(_DELETE_CLIENT, client=client_id)
    return len(old)


async def age_of_surplus(tx: Transaction, *, keep: int) -> int | None:
    """When the newest client beyond the ``keep`` newest was used last; None where there are no more."""
    last: int | None = await tx.value(_NEWEST_CLIENTS, keep=keep)
    return last


async def insert_code(tx: WriteTransaction, new: Code, *, most: int, now_ms: int) -> None:
    """Store a code; those that have expired go, and the user's oldest where there are over ``most``."""
    await tx.run(_PRUNE_CODES, now=now_ms)
    await tx.run(_INSERT_CODE, **_CODES.values(new))
    await _SURPLUS_CODES.forget(tx, keep=most, user=new.user_id)


async def code(tx: Transaction, hash_: bytes) -> Code | None:
    """A code that is not spent; it may have expired."""
    return _CODES.one(await tx.one(_CODE, hash=hash_))


async def spend_code(tx: WriteTransaction, hash_: bytes) -> bool:
    """Whether a code was there to be spent."""
    return await tx.run(_DELETE_CODE, hash=hash_) > 0


async def insert_device_code(tx: WriteTransaction, new: DeviceCode, *, now_ms: int) -> None:
    """Store a device code; those that have expired go."""
    await tx.run(_PRUNE_DEVICE_CODES, now=now_ms)
    await tx.run(_INSERT_DEVICE_CODE, **_DEVICE_CODES.values(new))


async def forget_device_codes(tx: WriteTransaction, *, keep: int) -> None:
    """Forget device codes but for the ``keep`` newest."""
    await _SURPLUS_DEVICE_CODES.forget(tx, keep=keep)


async def device_code(tx: Transaction, hash_: bytes) -> DeviceCode | None:
    """A device code that is not spent; it may have expired."""
    return _DEVICE_CODES.one(await tx.one(_DEVICE_CODE, hash=hash_))


async def by_user_code(tx: Transaction, user_code: str) -> DeviceCode | None:
    """The same by the code that its user types."""
    return _DEVICE_CODES.one(await tx.one(_BY_USER_CODE, code=user_code))


async def polled(tx: WriteTransaction, hash_: bytes, *, now_ms: int) -> None:
    """Note that the device has asked."""
    await tx.run(_POLLED, hash=hash_, now=now_ms)


async def decide(tx: WriteTransaction, user_code: str, user_id: str, state: str, *, now_ms: int) -> bool:
    """Write down what a user has decided; whether it was still to be decided."""
    return await tx.run(_DECIDE, code=user_code, user=user_id, new=state, now=now_ms) > 0


async def spend_device_code(tx: WriteTransaction, hash_: bytes) -> bool:
    """Whether a device code was there to be spent."""
    return await tx.run(_DELETE_DEVICE_CODE, hash=hash_) > 0


async def insert_grant(tx: WriteTransaction, new: Grant) -> None:
    """Store the grant of a device, in place of any that it had."""
    await tx.run(_DELETE_OF_DEVICE, user=new.user_id, device=new.device_id)
    await tx.run(_INSERT_GRANT, **_GRANTS.values(new))


async def delete_grant_of(tx: WriteTransaction, user_id: str, device_id: str) -> None:
    """Forget that a device has its tokens by a grant: it has logged in otherwise."""
    await tx.run(_DELETE_OF_DEVICE, user=user_id, device=device_id)


async def grant(tx: Transaction, grant_id: str) -> Grant | None:
    """A grant, as long as its device is there."""
    return _GRANTS.one(await tx.one(_GRANT, grant=grant_id))


async def grant_of_device(tx: Transaction, user_id: str, device_id: str) -> Grant | None:
    """The grant of a device, if it has one."""
    return _GRANTS.one(await tx.one(_GRANT_OF_DEVICE, user=user_id, device=device_id))


async def grants_of(tx: Transaction, user_id: str) -> list[Grant]:
    """All grants of a user."""
    return _GRANTS.all(await tx.all(_GRANTS_OF_USER, user=user_id))


async def put_consent(tx: WriteTransaction, new: Consent, *, most: int) -> None:
    """Note that a user allows a client; the user's oldest are forgotten where there are over ``most``."""
    await tx.run(_PUT_CONSENT, **_CONSENTS.values(new))
    await _SURPLUS_CONSENTS.forget(tx, keep=most, user=new.user_id)


async def consent(tx: Transaction, user_id: str, client_id: str) -> Consent | None:
    """What a user has allowed a client."""
    return _CONSENTS.one(await tx.one(_CONSENT, user=user_id, client=client_id))


async def consents_of(tx: Transaction, user_id: str) -> list[Consent]:
    """The clients that a user has allowed, the newest first."""
    return _CONSENTS.all(await tx.all(_CONSENTS_OF, user=user_id))


async def delete_consent(tx: WriteTransaction, user_id: str, client_id: str) -> None:
    """Forget that a user has allowed a client."""
    await tx.run(_DELETE_CONSENT, user=user_id, client=client_id)
