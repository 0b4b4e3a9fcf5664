"""Device keys, one-time keys and fallback keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from sqlalchemy import bindparam, func, literal_column, select, union_all, update

from palpo.core.device_keys import UploadedKey
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.accounts import devices
from palpo.db.tables.keys import device_keys, fallback_keys, one_time_keys
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.storage.surplus import Surplus
from palpo.streams import topics

d = device_keys.c
o = one_time_keys.c
f = fallback_keys.c
_PUT_DEVICE_KEYS = upsert(device_keys, key=["user_id", "device_id"])
_DEVICE_KEYS = Statement(
    select(d.json).where(d.user_id == bindparam("user"), d.device_id == bindparam("device"))
)
_ALL_DEVICE_KEYS = Statement(
    select(d.user_id, d.device_id, d.json, devices.c.display_name)
    .select_from(
        device_keys.join(devices, (devices.c.user_id == d.user_id) & (devices.c.device_id == d.device_id))
    )
    .where(in_list(d.user_id, "users"))
)

_OTK_DEVICE = (o.user_id == bindparam("user")) & (o.device_id == bindparam("device"))
UNUSED_FALLBACK = -1
CLAIMED = ""
"""The ``algorithm`` of a one-time key that was claimed."""
_OTKS = Records(UploadedKey, one_time_keys)
_PUT_OTK = upsert(one_time_keys, key=["user_id", "device_id", "name"])
_NAMED_OTKS = Statement(select(o.name, o.algorithm, o.json).where(_OTK_DEVICE, in_list(o.name, "names")))
_OLDEST_OTK = Statement(
    select(o.name, o.json)
    .where(_OTK_DEVICE, o.algorithm == bindparam("algorithm"))
    .order_by(o.position, o.name)
    .limit(1)
)
_CLAIM_OTK = Statement(
    update(one_time_keys)
    .where(_OTK_DEVICE, o.name == bindparam("name_"), o.algorithm != CLAIMED)
    .values(algorithm=CLAIMED, json=bindparam("hash"))
)
_CLAIMED = Surplus(one_time_keys, o.position, _OTK_DEVICE, o.algorithm == CLAIMED)

_FALLBACK_DEVICE = (f.user_id == bindparam("user")) & (f.device_id == bindparam("device"))
_FALLBACK_KEYS = Records(UploadedKey, fallback_keys)
_PUT_FALLBACK = upsert(fallback_keys, key=["user_id", "device_id", "algorithm"])
_FALLBACK = Statement(
    select(f.name, f.json, f.used).where(_FALLBACK_DEVICE, f.algorithm == bindparam("algorithm"))
)
_FALLBACKS = Statement(select(f.algorithm, f.name, f.json).where(_FALLBACK_DEVICE))
_COUNTS = Statement(
    union_all(
        select(o.algorithm, func.count()).where(_OTK_DEVICE, o.algorithm != CLAIMED).group_by(o.algorithm),
        select(f.algorithm, literal_column(str(UNUSED_FALLBACK))).where(_FALLBACK_DEVICE, f.used == 0),
    )
)
_USE_FALLBACK = Statement(
    update(fallback_keys)
    .where(_FALLBACK_DEVICE, f.algorithm == bindparam("algorithm_"), f.name == bindparam("name_"))
    .values(used=1)
)


async def find_device_keys(tx: Transaction, user_id: str, device_id: str) -> bytes | None:
    """A device's identity keys."""
    found: bytes | None = await tx.value(_DEVICE_KEYS, user=user_id, device=device_id)
    return found


async def put_device_keys(tx: WriteTransaction, user_id: str, device_id: str, json: bytes) -> None:
    """Store a device's identity keys over what it had."""
    await tx.run(_PUT_DEVICE_KEYS, user_id=user_id, device_id=device_id, json=json)


async def all_device_keys(
    tx: Transaction, user_ids: Sequence[str]
) -> list[tuple[str, str, bytes, str | None]]:
    """``(user, device, keys, display name)`` of every device of the users that has keys."""
    rows = await tx.all(_ALL_DEVICE_KEYS, users=list(user_ids))
    return [(row[0], row[1], row[2], row[3]) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeKey:
    """A one-time key that was uploaded; ``json`` is its hash where it was claimed."""

    claimed: bool
    json: bytes

    def is_same(self, json: bytes) -> bool:
        """Whether ``json`` is this key."""
        return self.json == (_hash(json) if self.claimed else json)


async def named_one_time_keys(
    tx: Transaction, user_id: str, device_id: str, names: Sequence[str]
) -> dict[str, OneTimeKey]:
    """The one-time keys with one of the names."""
    rows = await tx.all(_NAMED_OTKS, user=user_id, device=device_id, names=list(names))
    return {row[0]: OneTimeKey(claimed=row[1] == CLAIMED, json=bytes(row[2])) for row in rows}


async def add_one_time_keys(
    tx: WriteTransaction, user_id: str, device_id: str, keys: Sequence[UploadedKey]
) -> None:
    """Store new one-time keys, after the ones that are there, over claimed ones of their names."""
    if not keys:
        return
    upload = {"user_id": user_id, "device_id": device_id, "position": await tx.positions()}
    await tx.many(_PUT_OTK, [{**upload, **_OTKS.values(key)} for key in keys])
    tx.notify(topics.ONE_TIME_KEYS, user_id)


async def forget_claimed(tx: WriteTransaction, user_id: str, device_id: str, *, keep: int) -> None:
    """Forget claimed one-time keys but for the ``keep`` that were uploaded last; whole uploads go."""
    await _CLAIMED.forget(tx, keep=keep, user=user_id, device=device_id)


async def counts(tx: Transaction, user_id: str, device_id: str) -> tuple[dict[str, int], list[str]]:
    """How many unclaimed one-time keys there are of each algorithm; those with an unused fallback key."""
    rows = await tx.all(_COUNTS, user=user_id, device=device_id)
    one_time = {row[0]: row[1] for row in rows if row[1] != UNUSED_FALLBACK}
    return one_time, sorted(row[0] for row in rows if row[1] == UNUSED_FALLBACK)


async def take_one_time_key(
    tx: WriteTransaction, user_id: str, device_id: str, algorithm: str
) -> tuple[str, bytes] | None:
    """The name and JSON of the oldest one-time key, which nobody else can get any more."""
    while algorithm != CLAIMED:
        row = await tx.one(_OLDEST_OTK, user=user_id, device=device_id, algorithm=algorithm)
        if row is None:
            return None
        # Another process may have read the same row; only one of us changes it.
        hash_ = _hash(bytes(row[1]))
        if await tx.run(_CLAIM_OTK, user=user_id, device=device_id, name_=row[0], hash=hash_):
            tx.notify(topics.ONE_TIME_KEYS, user_id)
            return row[0], row[1]
    return None


async def fallback_keys_of(tx: Transaction, user_id: str, device_id: str) -> dict[str, tuple[str, bytes]]:
    """The name and JSON of a device's fallback keys, by algorithm."""
    rows = await tx.all(_FALLBACKS, user=user_id, device=device_id)
    return {row[0]: (row[1], bytes(row[2])) for row in rows}


async def put_fallback_keys(
    tx: WriteTransaction, user_id: str, device_id: str, keys: Sequence[UploadedKey]
) -> None:
    """Store fallback keys over those of their algorithms; nobody has been given them yet."""
    if not keys:
        return
    unused = {"user_id": user_id, "device_id": device_id, "used": 0}
    await tx.many(_PUT_FALLBACK, [{**unused, **_FALLBACK_KEYS.values(key)} for key in keys])
    tx.notify(topics.ONE_TIME_KEYS, user_id)


async def use_fallback_key(
    tx: WriteTransaction, user_id: str, device_id: str, algorithm: str
) -> tuple[str, bytes] | None:
    """The name and JSON of the fallback key, which counts as used from now on."""
    row = await tx.one(_FALLBACK, user=user_id, device=device_id, algorithm=algorithm)
    if row is None:
        return None
    if not row[2]:
        await tx.run(_USE_FALLBACK, user=user_id, device=device_id, algorithm_=algorithm, name_=row[0])
        tx.notify(topics.ONE_TIME_KEYS, user_id)
    return row[0], row[1]


def _hash(json: bytes) -> bytes:
    return blake2b(json, digest_size=32).digest()
