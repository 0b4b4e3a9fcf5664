"""Transactions of other servers that have been carried out."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from palpo.core.identifiers import ServerName
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.inbound import inbound_transactions
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundTransaction:
    """One of them."""

    origin: ServerName
    transaction_hash: bytes
    """Of its ID: 16 bytes."""
    received_ts: int
    """Milliseconds since the Unix epoch."""
    answer: bytes
    """JSON."""


t = inbound_transactions.c
_RECORDS = Records(InboundTransaction, inbound_transactions)
_PUT = upsert(inbound_transactions, key=["origin", "transaction_hash"])
_ANSWER = Statement(
    select(t.answer).where(t.origin == bindparam("origin"), t.transaction_hash == bindparam("hash"))
)
_OLD = Statement(
    select(t.origin, t.transaction_hash)
    .where(t.received_ts < bindparam("before"))
    .order_by(t.received_ts)
    .limit(bindparam("limit"))
)
_FORGET = Statement(
    delete(inbound_transactions).where(t.origin == bindparam("origin"), in_list(t.transaction_hash, "hashes"))
)


async def put(tx: WriteTransaction, done: InboundTransaction) -> None:
    """Note that a transaction has been carried out."""
    await tx.many(_PUT, [_RECORDS.values(done)])


async def answer(tx: Transaction, origin: str, transaction_hash: bytes) -> bytes | None:
    """What a transaction was answered; None where it has not been carried out."""
    found: bytes | None = await tx.value(_ANSWER, origin=origin, hash=transaction_hash)
    return found


async def forget(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget up to ``limit`` that came before a time; how many."""
    by_origin: dict[str, list[bytes]] = {}
    for origin, hash_ in await tx.all(_OLD, before=before_ts, limit=limit):
        by_origin.setdefault(origin, []).append(hash_)
    for origin, hashes in by_origin.items():
        await tx.run(_FORGET, origin=origin, hashes=hashes)
    return sum(map(len, by_origin.values()))
