"""Dehydrated devices (MSC3814): at most one for each user."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select

from palpo.db.statements import Statement, upsert
from palpo.db.tables.devices import dehydrated_devices
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class DehydratedDevice:
    """A device that is encrypted on the server. ``device_data`` is JSON."""

    device_id: str
    device_data: bytes


d = dehydrated_devices.c
_RECORDS = Records(DehydratedDevice, dehydrated_devices)
_PUT = upsert(dehydrated_devices, key=["user_id"])
_FIND = Statement(select(*_RECORDS.columns).where(d.user_id == bindparam("user")))


async def find(tx: Transaction, user_id: str) -> DehydratedDevice | None:
    """A user's dehydrated device."""
    return _RECORDS.one(await tx.one(_FIND, user=user_id))


async def put(tx: WriteTransaction, user_id: str, device: DehydratedDevice) -> None:
    """Store a user's dehydrated device over the one before."""
    await tx.run(_PUT, user_id=user_id, **_RECORDS.values(device))
