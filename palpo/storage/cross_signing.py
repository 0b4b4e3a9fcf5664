"""Cross-signing keys, and the signatures that were added to keys later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, or_, select

from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.keys import cross_signing_keys, key_signatures
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.to_device import transaction_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossSigningKey:
    """A cross-signing key; ``key_id`` is ``ed25519:public_key``."""

    user_id: str
    usage: str
    key_id: str
    json: bytes

    @property
    def public_key(self) -> str:
        """The key itself, in unpadded base64."""
        return self.key_id.removeprefix("ed25519:")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySignature:
    """``signer_key_id`` of ``signer_user_id`` signed ``user_id``'s ``target``: a device ID or a key ID."""

    user_id: str
    target: str
    signer_user_id: str
    signer_key_id: str
    signature: str

    @property
    def hash(self) -> bytes:
        """The 32 bytes that stand for what signs what."""
        return transaction_hash(self.user_id, self.target, self.signer_user_id, self.signer_key_id)


k = cross_signing_keys.c
s = key_signatures.c
_RECORDS = Records(CrossSigningKey, cross_signing_keys)
_PUT = upsert(cross_signing_keys, key=["user_id", "usage"])
_ALL = Statement(select(*_RECORDS.columns).where(in_list(k.user_id, "users")))
_PUT_SIGNATURE = upsert(key_signatures, key=["signature_hash"])
_SIGNATURES = Statement(
    select(s.user_id, s.target, s.signer_user_id, s.signer_key_id, s.signature).where(
        in_list(s.user_id, "users"),
        or_(s.signer_user_id == s.user_id, s.signer_user_id == bindparam("observer")),
    )
)
_DELETE_SIGNATURES = Statement(
    delete(key_signatures).where(s.user_id == bindparam("user"), s.target == bindparam("target"))
)


async def put(tx: WriteTransaction, key: CrossSigningKey) -> None:
    """Store a key over the user's one of that usage."""
    await tx.run(_PUT, **_RECORDS.values(key))


async def of_users(tx: Transaction, user_ids: Sequence[str]) -> dict[tuple[str, str], CrossSigningKey]:
    """The users' keys, by user and usage."""
    rows = await tx.all(_ALL, users=list(user_ids))
    return {(key.user_id, key.usage): key for key in _RECORDS.all(rows)}


async def add_signature(tx: WriteTransaction, item: KeySignature) -> None:
    """Store a signature over the one by that key of that key."""
    await tx.run(
        _PUT_SIGNATURE,
        signature_hash=item.hash,
        user_id=item.user_id,
        target=item.target,
        signer_user_id=item.signer_user_id,
        signer_key_id=item.signer_key_id,
        signature=item.signature.encode(),
    )


async def signatures(
    tx: Transaction, user_ids: Sequence[str], *, observer: str
) -> dict[tuple[str, str], list[KeySignature]]:
    """Signatures of users' keys by user and target: the users' own, and those made by ``observer``."""
    found: dict[tuple[str, str], list[KeySignature]] = {}
    for row in await tx.all(_SIGNATURES, users=list(user_ids), observer=observer):
        item = KeySignature(
            user_id=row[0],
            target=row[1],
            signer_user_id=row[2],
            signer_key_id=row[3],
            signature=bytes(row[4]).decode(),
        )
        found.setdefault((item.user_id, item.target), []).append(item)
    return found


async def delete_signatures(tx: WriteTransaction, user_id: str, target: str) -> None:
    """Forget the signatures of a key that is no more."""
    await tx.run(_DELETE_SIGNATURES, user=user_id, target=target)
