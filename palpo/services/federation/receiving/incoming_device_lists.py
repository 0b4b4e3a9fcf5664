"""Changes of devices and cross-signing keys, as the users' servers tell of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Any

from palpo.core.errors import InvalidParam
from palpo.core.identifiers import ServerName, UserId, server_name_of
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.federation.asking.received_devices import (
    MAX_DEVICES,
    MAX_LIST,
    device,
    is_stream_id,
    signing_key,
)
from palpo.services.federation.asking.remote_device_lists import RESYNC_MS
from palpo.services.federation.receiving.received_edus import check_origin, content_as
from palpo.storage import device_lists, memberships, partial_rooms
from palpo.storage import remote_device_lists as storage
from palpo.storage.remote_device_lists import RemoteDeviceList
from palpo.streams.clock import Clock
from palpo.wire.federation.device_edus import (
    DEVICE_LIST_UPDATE,
    SIGNING_KEY_UPDATE,
    DeviceListUpdate,
    SigningKeyUpdate,
)

Change = Callable[[WriteTransaction, RemoteDeviceList | None], Awaitable[bool]]
"""``async def change(tx, the user's list)``: whether clients might see a change."""


class IncomingDeviceLists:
    """Takes m.device_list_update: what follows the last update is put into the list, else one is missed."""

    edu_type = DEVICE_LIST_UPDATE

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def receive(self, origin: ServerName, content: dict[str, Any]) -> None:
        """Take one; those of users who are in no room here are passed over."""
        update = content_as(content, DeviceListUpdate)
        check_origin(update.user_id, origin)
        if not is_stream_id(update.stream_id):
            raise InvalidParam("Not a stream_id")
        change = partial(self._change, update)
        await self._db.write(lambda tx: _tell(tx, update.user_id, change))

    async def _change(
        self, update: DeviceListUpdate, tx: WriteTransaction, known: RemoteDeviceList | None
    ) -> bool:
        visible = bool(update.deleted) or update.keys is not None
        if known is None:
            return visible
        if known.stream_id == update.stream_id:
            return False
        if not known.in_step or known.stream_id not in update.prev_id or not await _fits(tx, update):
            await storage.put(tx, [known.missed(self._clock.now_ms() + RESYNC_MS[0])])
            return visible
        changed = await _put(tx, update)
        newer = replace(
            known, stream_id=update.stream_id, changes=known.changes + 1, position=await tx.positions()
        )
        await storage.put(tx, [newer])
        return changed


class IncomingSigningKeys:
    """Takes m.signing_key_update."""

    edu_type = SIGNING_KEY_UPDATE

    def __init__(self, db: Database) -> None:
        self._db = db

    async def receive(self, origin: ServerName, content: dict[str, Any]) -> None:
        """Take one; those of users who are in no room here are passed over."""
        update = content_as(content, SigningKeyUpdate)
        check_origin(update.user_id, origin)
        master = signing_key(update.user_id, "master", update.master_key)
        self_signing = signing_key(update.user_id, "self_signing", update.self_signing_key)
        if master is None and self_signing is None:
            raise InvalidParam("There is no key in it")

        async def change(tx: WriteTransaction, known: RemoteDeviceList | None) -> bool:
            if known is None:
                return True
            newer = replace(
                known,
                master_key=master or known.master_key,
                self_signing_key=self_signing or known.self_signing_key,
            )
            if newer == known:
                return False
            await storage.put(tx, [replace(newer, changes=known.changes + 1)])
            return True

        await self._db.write(lambda tx: _tell(tx, update.user_id, change))


async def _tell(tx: WriteTransaction, user_id: UserId, change: Change) -> None:
    """Make a change of a list, and tell those who share a room with the user.

    Where members of a room with the user's server are still missing, they are told once these are known
    (``Completions``): of any change, as nothing is kept that it could be compared with.
    """
    unknown = await partial_rooms.has_server(tx, server_name_of(user_id))
    if not unknown and not await memberships.joined_rooms(tx, user_id):
        return
    # Its lock keeps two changes of one list apart.
    await tx.positions()
    known = (await storage.find(tx, [user_id])).get(user_id)
    if await change(tx, known) or (unknown and known is None):
        await device_lists.record(tx, user_id)


async def _fits(tx: WriteTransaction, update: DeviceListUpdate) -> bool:
    """Whether a list stays within its bounds, and the keys are the device's own."""
    if update.deleted or update.keys is None:
        return True
    new = device(update.user_id, update.device_id, update.keys, None)
    count, size = await storage.size(tx, update.user_id)
    return new is not None and count < MAX_DEVICES and size + len(new.json) <= MAX_LIST


async def _put(tx: WriteTransaction, update: DeviceListUpdate) -> bool:
    """Put an update into a list; whether anything in it is another than before."""
    known = await storage.find_device(tx, update.user_id, update.device_id)
    new = None
    if not update.deleted:
        new = device(update.user_id, update.device_id, update.keys, update.device_display_name)
    if new is not None and new != known:
        await storage.put_devices(tx, [new])
    elif new is None and known is not None:
        await storage.delete_device(tx, update.user_id, update.device_id)
    return new != known
