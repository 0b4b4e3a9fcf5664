"""Messages to devices: one queue for each device, by position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import bindparam, delete, func, select

from palpo.db.statements import Statement, in_list, insert_row
from palpo.db.tables.devices import received_messages, to_device_messages, to_device_transactions
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.windows import oldest
from palpo.streams import topics

m = to_device_messages.c
t = to_device_transactions.c
r = received_messages.c
_QUEUE = (m.user_id == bindparam("user")) & (m.device_id == bindparam("device"))
_INSERT = insert_row(to_device_messages)
_PENDING = oldest(select(m.position, m.event).where(_QUEUE), m.position)
_FIRST = Statement(select(func.min(m.position)).where(_QUEUE))
_DELETE_UPTO = Statement(delete(to_device_messages).where(_QUEUE, m.position <= bindparam("upto")))
_SHARES = Statement(
    select(m.user_id, m.device_id, m.sender, func.count(), func.sum(func.length(m.event)))
    .where(in_list(m.user_id, "users"))
    .group_by(m.user_id, m.device_id, m.sender)
)
_OLDEST = Statement(
    select(m.position, func.length(m.event))
    .where(_QUEUE, m.sender == bindparam("sender"))
    .order_by(m.position)
    .limit(bindparam("limit"))
)
_DROP = Statement(delete(to_device_messages).where(in_list(m.position, "positions")))
_INSERT_TRANSACTION = insert_row(to_device_transactions)
_FIND_TRANSACTION = Statement(select(t.created_ts).where(t.transaction_hash == bindparam("hash")))
_PRUNE_TRANSACTIONS = Statement(delete(to_device_transactions).where(t.created_ts < bindparam("before")))

_INSERT_RECEIVED = insert_row(received_messages)
_FIND_RECEIVED = Statement(select(r.received_ts).where(r.message_hash == bindparam("hash")))
_OLD_RECEIVED = Statement(
    select(r.message_hash)
    .where(r.received_ts < bindparam("before"))
    .order_by(r.received_ts)
    .limit(bindparam("limit"))
)
_FORGET_RECEIVED = Statement(delete(received_messages).where(in_list(r.message_hash, "hashes")))


def transaction_hash(*parts: str) -> bytes:
    """The 32 bytes that stand for who sent a transaction and what it is called."""
    digest = blake2b(digest_size=32)
    for part in parts:
        encoded = part.encode("utf-8", "replace")
        digest.update(len(encoded).to_bytes(4, "big") + encoded)
    return digest.digest()


async def begin_transaction(tx: WriteTransaction, hash_: bytes, *, now_ms: int) -> bool:
    """Whether a transaction is new; raises UniqueViolation if another process begins it meanwhile."""
    if await tx.one(_FIND_TRANSACTION, hash=hash_) is not None:
        return False
    await tx.run(_INSERT_TRANSACTION, transaction_hash=hash_, created_ts=now_ms)
    return True


async def begin_message(tx: WriteTransaction, hash_: bytes, *, now_ms: int) -> bool:
    """Whether another server's message is new; raises UniqueViolation if another process receives it."""
    if await tx.one(_FIND_RECEIVED, hash=hash_) is not None:
        return False
    await tx.run(_INSERT_RECEIVED, message_hash=hash_, received_ts=now_ms)
    return True


async def forget_received(tx: WriteTransaction, *, before_ts: int, limit: int) -> int:
    """Forget up to ``limit`` messages that other servers sent before a time; how many."""
    hashes = [bytes(row[0]) for row in await tx.all(_OLD_RECEIVED, before=before_ts, limit=limit)]
    if hashes:
        await tx.run(_FORGET_RECEIVED, hashes=hashes)
    return len(hashes)


async def prune_transactions(tx: WriteTransaction, *, before_ts: int) -> None:
    """Forget transactions of long ago."""
    await tx.run(_PRUNE_TRANSACTIONS, before=before_ts)


async def enqueue(
    tx: WriteTransaction, messages: Sequence[tuple[str, str, bytes]], *, sender: str = ""
) -> None:
    """Add ``(user, device, event JSON)`` messages to their devices' queues, in order."""
    if not messages:
        return
    first = await tx.positions(len(messages))
    rows = [
        {
            "position": first + number,
            "user_id": user_id,
            "device_id": device_id,
            "event": event,
            "sender": sender,
        }
        for number, (user_id, device_id, event) in enumerate(messages)
    ]
    await tx.many(_INSERT, rows)
    for user_id in {message[0] for message in messages}:
        tx.notify(topics.USER, user_id)
        tx.notify(topics.TO_DEVICE, user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one sender has in one device's queue."""

    user_id: str
    device_id: str
    sender: str
    count: int
    size: int
    """Bytes."""


async def shares(tx: Transaction, user_ids: Sequence[str]) -> list[Share]:
    """What waits for users' devices, by sender."""
    return [
        Share(user_id=row[0], device_id=row[1], sender=row[2], count=int(row[3]), size=int(row[4]))
        for row in await tx.all(_SHARES, users=list(user_ids))
    ]


async def drop_oldest(tx: WriteTransaction, share: Share, *, count: int, size: int) -> tuple[int, int]:
    """Delete a share's oldest messages, ``count`` and ``size`` at least; how many, and their bytes."""
    dropped = freed = 0
    while dropped < count or freed < size:
        rows = await tx.all(
            _OLDEST, user=share.user_id, device=share.device_id, sender=share.sender, limit=500
        )
        positions: list[int] = []
        for position, length in rows:
            if dropped < count or freed < size:
                positions.append(position)
                dropped, freed = dropped + 1, freed + int(length)
        if not positions:
            break
        await tx.run(_DROP, positions=positions)
    return dropped, freed


async def pending(
    tx: Transaction, user_id: str, device_id: str, *, after: int, upto: int, limit: int
) -> list[tuple[int, bytes]]:
    """``(position, event JSON)`` of the first ``limit`` messages in ``(after, upto]``."""
    rows = await tx.all(_PENDING, user=user_id, device=device_id, after=after, upto=upto, limit=limit)
    return [(row[0], row[1]) for row in rows]


async def first_position(tx: Transaction, user_id: str, device_id: str) -> int | None:
    """The position of the oldest message that waits."""
    position: int | None = await tx.value(_FIRST, user=user_id, device=device_id)
    return position


async def delete_up_to(tx: WriteTransaction, user_id: str, device_id: str, upto: int) -> None:
    """Delete the messages at positions up to and including ``upto``."""
    await tx.run(_DELETE_UPTO, user=user_id, device=device_id, upto=upto)
