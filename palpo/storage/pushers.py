"""Pushers: where users want to be told of events."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, select

from palpo.core.identifiers import UserId
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.push import pushers
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records
from palpo.streams import topics

p = pushers.c

EMAIL_APP_ID = "m.email"
"""Of every pusher that sends email."""


class Pusher(msgspec.Struct, frozen=True, kw_only=True):
    """A pusher. ``position`` is where the stream was when it was last set."""

    user_id: UserId
    device_id: str | None
    app_id: str
    pushkey: str
    kind: str
    app_display_name: str
    device_display_name: str
    profile_tag: str | None
    lang: str
    data: bytes
    """A JSON object."""
    created_ts: int
    position: int

    @property
    def hash(self) -> bytes:
        """16 bytes that stand for user, app ID and pushkey."""
        return pusher_hash(self.user_id, self.app_id, self.pushkey)


_RECORDS = Records(Pusher, pushers)
_PUT = upsert(pushers, key=["pusher_hash"])
_OF_USERS = Statement(
    select(*_RECORDS.columns).where(in_list(p.user_id, "user_ids")).order_by(p.created_ts, p.pusher_hash)
)
_GET = Statement(select(*_RECORDS.columns).where(p.pusher_hash == bindparam("pusher_hash")))
_DELETE = Statement(delete(pushers).where(p.pusher_hash == bindparam("pusher_hash")))
_DELETE_OTHERS = Statement(
    delete(pushers).where(p.target_hash == bindparam("target_hash"), p.user_id != bindparam("user_id"))
)


def pusher_hash(user_id: str, app_id: str, pushkey: str) -> bytes:
    """16 bytes that stand for a user's pusher."""
    return _hash(user_id, app_id, pushkey)


def pusher_row(pusher: Pusher) -> dict[str, Any]:
    """A pusher's values by the names of their columns."""
    hashes = {"pusher_hash": pusher.hash, "target_hash": _hash(pusher.app_id, pusher.pushkey)}
    return hashes | _RECORDS.values(pusher)


async def put(tx: WriteTransaction, pusher: Pusher) -> None:
    """Store a pusher over the one of its user, app ID and pushkey."""
    await tx.run(_PUT, **pusher_row(pusher))
    tx.notify(topics.PUSHERS, pusher.user_id)


async def get(tx: Transaction, pusher_hash: bytes) -> Pusher | None:
    """The pusher that a hash stands for."""
    return _RECORDS.one(await tx.one(_GET, pusher_hash=pusher_hash))


async def of_users(tx: Transaction, user_ids: Sequence[str]) -> list[Pusher]:
    """Every pusher of ``user_ids``, oldest first."""
    return _RECORDS.all(await tx.all(_OF_USERS, user_ids=list(user_ids)))


async def remove(tx: WriteTransaction, user_id: str, app_id: str, pushkey: str) -> None:
    """Delete a user's pusher, if it is there."""
    await tx.run(_DELETE, pusher_hash=pusher_hash(user_id, app_id, pushkey))
    tx.notify(topics.PUSHERS, user_id)


async def remove_others(tx: WriteTransaction, user_id: str, app_id: str, pushkey: str) -> None:
    """Delete the pushers with that app ID and pushkey of every other user."""
    await tx.run(_DELETE_OTHERS, target_hash=_hash(app_id, pushkey), user_id=user_id)


def _hash(*parts: str) -> bytes:
    return blake2b("\0".join(parts).encode("utf-8", "replace"), digest_size=16).digest()
