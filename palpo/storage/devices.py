"""Devices as their users see them. (They are made and deleted by ``palpo.storage.accounts``.)"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, select, update

from palpo.db.statements import Statement, in_list
from palpo.db.tables.accounts import devices, users
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device. Times are milliseconds since the Unix epoch."""

    device_id: str
    display_name: str | None
    last_seen_ts: int | None
    last_seen_ip: str | None
    user_agent: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A device was used."""

    user_id: str
    device_id: str
    ts: int
    ip: str
    user_agent: str | None


_RECORDS = Records(Device, devices)
_OF_USER = devices.c.user_id == bindparam("user")
_DEVICE = _OF_USER & (devices.c.device_id == bindparam("device"))
_ALL = Statement(select(*_RECORDS.columns).where(_OF_USER).order_by(devices.c.device_id))
_FIND = Statement(select(*_RECORDS.columns).where(_DEVICE))
_RENAME = Statement(update(devices).where(_DEVICE).values(display_name=bindparam("name")))
_SEEN = Statement(
    update(devices)
    .where(_DEVICE)
    .values(last_seen_ts=bindparam("ts"), last_seen_ip=bindparam("ip"), user_agent=bindparam("agent"))
)
_USER_SEEN = Statement(
    update(users)
    .where(users.c.user_id == bindparam("user"), users.c.last_seen_ts < bindparam("ts"))
    .values(last_seen_ts=bindparam("ts"))
)
_IDS = Statement(select(devices.c.user_id, devices.c.device_id).where(in_list(devices.c.user_id, "users")))


async def all_of(tx: Transaction, user_id: str) -> list[Device]:
    """A user's devices, by ID."""
    return _RECORDS.all(await tx.all(_ALL, user=user_id))


async def find(tx: Transaction, user_id: str, device_id: str) -> Device | None:
    """One device."""
    return _RECORDS.one(await tx.one(_FIND, user=user_id, device=device_id))


async def rename(tx: WriteTransaction, user_id: str, device_id: str, display_name: str) -> None:
    """Replace the display name."""
    await tx.run(_RENAME, user=user_id, device=device_id, name=display_name)


async def seen(tx: WriteTransaction, items: Sequence[Seen]) -> None:
    """Note where devices were last used from; those that are gone stay gone."""
    rows = [
        {
            "user": item.user_id,
            "device": item.device_id,
            "ts": item.ts,
            "ip": item.ip,
            "agent": item.user_agent,
        }
        for item in items
    ]
    await tx.many(_SEEN, rows)
    latest: dict[str, int] = {}
    for item in items:
        latest[item.user_id] = max(item.ts, latest.get(item.user_id, 0))
    await tx.many(_USER_SEEN, [{"user": user_id, "ts": ts} for user_id, ts in latest.items()])


async def ids_of(tx: Transaction, user_ids: Sequence[str]) -> dict[str, set[str]]:
    """The device IDs of each user that has any."""
    found: dict[str, set[str]] = {}
    for user_id, device_id in await tx.all(_IDS, users=list(user_ids)):
        found.setdefault(user_id, set()).add(device_id)
    return found
