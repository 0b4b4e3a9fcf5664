"""What other servers were told of the devices of users here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, not_, select

from palpo.core.identifiers import ServerName
from palpo.core.membership import JOIN
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.remote_device_lists import told_devices
from palpo.db.tables.room_servers import room_servers
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Transaction, WriteTransaction

CROSS_SIGNING = ""
"""What stands for a user's cross-signing keys among their device IDs."""
t = told_devices.c
_OF_USER = t.user_id == bindparam("user_id")
_ALL = Statement(select(t.device_id, t.hash).where(_OF_USER))
_STREAM_ID = Statement(select(t.stream_id).where(_OF_USER, t.device_id == CROSS_SIGNING))
_PUT = upsert(told_devices, key=["user_id", "device_id"])
_servers = (
    select(room_servers.c.server_name)
    .distinct()
    .join(memberships, memberships.c.room_id == room_servers.c.room_id)
    .where(
        memberships.c.user_id == bindparam("user_id"),
        memberships.c.membership == JOIN,
        room_servers.c.joined > 0,
    )
)
_SERVERS = Statement(_servers)
_SERVERS_BESIDES = Statement(_servers.where(not_(in_list(memberships.c.room_id, "besides"))))
_DELETE = Statement(delete(told_devices).where(_OF_USER, in_list(t.device_id, "device_ids")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What was told of one user."""

    stream_id: int
    """Of the last update; 0 where there was none."""
    hashes: Mapping[str, bytes]
    """What was told of each device, and of CROSS_SIGNING."""


async def stream_id(tx: Transaction, user_id: str) -> int:
    """The last update that was sent of a user's device list; 0 where there was none."""
    return int(await tx.value(_STREAM_ID, user_id=user_id) or 0)


async def find(tx: Transaction, user_id: str) -> Told:
    """All that was told of a user."""
    hashes = {row[0]: bytes(row[1]) for row in await tx.all(_ALL, user_id=user_id)}
    return Told(stream_id=await stream_id(tx, user_id), hashes=hashes)


async def put(
    tx: WriteTransaction, user_id: str, hashes: Mapping[str, bytes], gone: Sequence[str], stream_id: int
) -> None:
    """Note what is told, and which devices are told to be gone, up to the update ``stream_id``."""
    rows = [
        {"user_id": user_id, "device_id": device_id, "stream_id": stream_id, "hash": hash_}
        for device_id, hash_ in hashes.items()
    ]
    await tx.many(_PUT, rows)
    if gone:
        await tx.run(_DELETE, user_id=user_id, device_ids=list(gone))


async def servers(tx: Transaction, user_id: str, *, besides: Collection[str] = ()) -> set[ServerName]:
    """The other servers in the rooms that a user is in, but for those that are in some of them only."""
    if besides:
        rows = await tx.all(_SERVERS_BESIDES, user_id=user_id, besides=list(besides))
    else:
        rows = await tx.all(_SERVERS, user_id=user_id)
    return {row[0] for row in rows}
