"""The device lists of other servers' users."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import bindparam, delete, func, select

from palpo.core.identifiers import ServerName, UserId
from palpo.core.membership import JOIN
from palpo.db.statements import Statement, in_list, upsert
from palpo.db.tables.remote_device_lists import remote_device_keys, remote_device_lists
from palpo.db.tables.rooms import memberships
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage.records import Records

ls = remote_device_lists.c
k = remote_device_keys.c


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDeviceList:
    """What is kept of a user's device list, beside the devices."""

    user_id: UserId
    server_name: ServerName
    position: int = 0
    """Of the stream: then it was in step with the user's server."""
    changes: int = 0
    """How often something was heard of it."""
    stream_id: int | None = None
    """The last update that is in it, where that is known."""
    resync_ts: int | None = None
    """When it is to be fetched anew, in milliseconds since the Unix epoch; None where it is in step."""
    failures: int = 0
    """How often that has failed."""
    master_key: bytes | None = None
    self_signing_key: bytes | None = None

    @property
    def in_step(self) -> bool:
        """Whether nothing was missed since ``position``, if rooms were shared ever since."""
        return self.resync_ts is None

    def missed(self, resync_ts: int) -> RemoteDeviceList:
        """The same after an update that cannot be put into it."""
        return replace(self, changes=self.changes + 1, resync_ts=self.resync_ts or resync_ts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteDevice:
    """A device with its keys, in canonical form."""

    user_id: UserId
    device_id: str
    json: bytes
    display_name: str | None


_LISTS = Records(RemoteDeviceList, remote_device_lists)
_DEVICES = Records(RemoteDevice, remote_device_keys)
_theirs = memberships.alias("theirs")
_mine = memberships.alias("mine")
_SHARED_EVER_SINCE = (
    select(_theirs.c.room_id)
    .join(_mine, _mine.c.room_id == _theirs.c.room_id)
    .where(
        _theirs.c.user_id == ls.user_id,
        _theirs.c.membership == JOIN,
        _theirs.c.position <= ls.position,
        _mine.c.user_id == bindparam("observer"),
        _mine.c.membership == JOIN,
        _mine.c.position <= ls.position,
    )
    .exists()
)
_OF_USERS = in_list(ls.user_id, "user_ids")
_FIND = Statement(select(*_LISTS.columns).where(_OF_USERS))
_IN_STEP = Statement(select(*_LISTS.columns).where(_OF_USERS, ls.resync_ts.is_(None), _SHARED_EVER_SINCE))
_DUE = Statement(
    select(*_LISTS.columns)
    .where(ls.resync_ts <= bindparam("now"))
    .order_by(ls.resync_ts)
    .limit(bindparam("limit"))
)
_AFTER = Statement(
    select(ls.user_id).where(ls.user_id > bindparam("after")).order_by(ls.user_id).limit(bindparam("limit"))
)
_COUNT = Statement(select(func.count()).where(ls.server_name == bindparam("server_name")))
_PUT = upsert(remote_device_lists, key=["user_id"])
_DELETE = Statement(delete(remote_device_lists).where(_OF_USERS))
_DEVICE = (k.user_id == bindparam("user_id")) & (k.device_id == bindparam("device_id"))
_DEVICES_OF = Statement(select(*_DEVICES.columns).where(in_list(k.user_id, "user_ids")))
_FIND_DEVICE = Statement(select(*_DEVICES.columns).where(_DEVICE))
_SIZE = Statement(
    select(func.count(), func.coalesce(func.sum(func.length(k.json)), 0)).where(
        k.user_id == bindparam("user_id")
    )
)
_PUT_DEVICE = upsert(remote_device_keys, key=["user_id", "device_id"])
_DELETE_DEVICE = Statement(delete(remote_device_keys).where(_DEVICE))
_DELETE_DEVICES = Statement(delete(remote_device_keys).where(in_list(k.user_id, "user_ids")))


async def find(tx: Transaction, user_ids: Collection[str]) -> dict[str, RemoteDeviceList]:
    """The lists that there are of users, in step or not."""
    rows = await tx.all(_FIND, user_ids=list(user_ids))
    return {item.user_id: item for item in _LISTS.all(rows)}


async def in_step(
    tx: Transaction, user_ids: Collection[str], *, observer: str
) -> dict[str, RemoteDeviceList]:
    """Those lists that are in step, as ``observer`` has shared a room with the user since they were."""
    rows = await tx.all(_IN_STEP, user_ids=list(user_ids), observer=observer)
    return {item.user_id: item for item in _LISTS.all(rows)}


async def due(tx: Transaction, *, now_ms: int, limit: int) -> list[RemoteDeviceList]:
    """Lists that are to be fetched anew by now, those first that were to be first."""
    return _LISTS.all(await tx.all(_DUE, now=now_ms, limit=limit))


async def users_after(tx: Transaction, after: str, limit: int) -> list[str]:
    """The next users, in order, of whom there are lists."""
    return [row[0] for row in await tx.all(_AFTER, after=after, limit=limit)]


async def count(tx: Transaction, server_name: str) -> int:
    """Of how many users of a server there are lists."""
    return int(await tx.value(_COUNT, server_name=server_name))


async def put(tx: WriteTransaction, lists: Iterable[RemoteDeviceList]) -> None:
    """Store lists over those that there are, without their devices."""
    await tx.many(_PUT, [_LISTS.values(item) for item in lists])


async def delete_all(tx: WriteTransaction, user_ids: Sequence[str]) -> None:
    """Forget lists, with their devices."""
    if user_ids:
        await tx.run(_DELETE_DEVICES, user_ids=list(user_ids))
        await tx.run(_DELETE, user_ids=list(user_ids))


async def devices_of(tx: Transaction, user_ids: Collection[str]) -> list[RemoteDevice]:
    """The devices in users' lists."""
    return _DEVICES.all(await tx.all(_DEVICES_OF, user_ids=list(user_ids))) if user_ids else []


async def find_device(tx: Transaction, user_id: str, device_id: str) -> RemoteDevice | None:
    """A device in a user's list."""
    return _DEVICES.one(await tx.one(_FIND_DEVICE, user_id=user_id, device_id=device_id))


async def size(tx: Transaction, user_id: str) -> tuple[int, int]:
    """How many devices there are in a list, and the bytes of their keys."""
    row = await tx.one(_SIZE, user_id=user_id)
    return (0, 0) if row is None else (int(row[0]), int(row[1]))


async def put_devices(tx: WriteTransaction, devices: Iterable[RemoteDevice]) -> None:
    """Store devices over those of their IDs."""
    await tx.many(_PUT_DEVICE, [_DEVICES.values(item) for item in devices])


async def delete_device(tx: WriteTransaction, user_id: str, device_id: str) -> bool:
    """Forget a device; whether there was one."""
    return await tx.run(_DELETE_DEVICE, user_id=user_id, device_id=device_id) > 0


async def delete_devices(tx: WriteTransaction, user_ids: Sequence[str]) -> None:
    """Forget the devices of lists that are about to be replaced."""
    await tx.run(_DELETE_DEVICES, user_ids=list(user_ids))
