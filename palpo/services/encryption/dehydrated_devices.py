"""Dehydrated devices (MSC3814): a device, encrypted on the server, that receives keys while nobody is on.

It is a device like others, with keys and a queue of messages. Messages that were fetched stay until
the device is deleted, so that fetching them can be begun again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from palpo.core import canonical_json
from palpo.core.errors import Forbidden, InvalidParam, NotFound, TooLarge
from palpo.core.identifiers import UserId
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.devices import refuse_device_id
from palpo.services.encryption.keys import KeyUpload, store_keys
from palpo.services.server.quotas import Quotas
from palpo.storage import accounts, to_device
from palpo.storage import dehydrated_devices as storage
from palpo.storage.dehydrated_devices import DehydratedDevice
from palpo.streams.clock import Clock

PAGE = 100
"""Messages in one response."""
END = 2**62
MAX_DEVICE_DATA = 256 * 1024
"""Bytes: a device with some hundred one-time keys has a tenth of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Messages to a dehydrated device; ``next_batch`` gets the ones after these."""

    events: list[msgspec.Raw]
    next_batch: str


class DehydratedDevices:
    """Keeps one dehydrated device for each user."""

    def __init__(self, db: Database, clock: Clock, removal: DeviceRemoval, quotas: Quotas) -> None:
        self._db = db
        self._quotas = quotas
        self._clock = clock
        self._removal = removal

    async def put(self, upload: KeyUpload, device_data: Mapping[str, Any], display_name: str | None) -> None:
        """Replace the user's dehydrated device.

        Raises InvalidParam where another device has the ID, Forbidden where a cross-signing key has it, and
        TooLarge.
        """
        user_id, device_id = upload.user_id, upload.device_id
        device = DehydratedDevice(device_id=device_id, device_data=canonical_json.encode_lax(device_data))
        if len(device.device_data) > MAX_DEVICE_DATA:
            raise TooLarge(f"device_data is over {MAX_DEVICE_DATA} bytes")

        async def unit(tx: WriteTransaction) -> None:
            before = await storage.find(tx, user_id)
            if before is not None:
                await self._removal.remove(tx, user_id, [before.device_id])
            await refuse_device_id(tx, user_id, device_id)
            created = await accounts.ensure_device(
                tx, user_id, device_id, display_name=display_name, created_ts=self._clock.now_ms()
            )
            if not created:
                raise InvalidParam("There is a device with that ID, and it is not dehydrated")
            await self._removal.make_room(tx, user_id, device_id)
            await store_keys(tx, upload)
            await self._quotas.recount(tx, user_id, Kind.KEY_BYTES)
            await storage.put(tx, user_id, device)

        await self._db.write(unit)

    async def get(self, user_id: UserId) -> DehydratedDevice:
        """The user's dehydrated device; raises NotFound."""
        return await self._db.read(lambda tx: _existing(tx, user_id))

    async def delete(self, user_id: UserId) -> str:
        """Delete the user's dehydrated device; its ID. Raises NotFound."""

        async def unit(tx: WriteTransaction) -> str:
            device = await _existing(tx, user_id)
            await self._removal.remove(tx, user_id, [device.device_id])
            return device.device_id

        return await self._db.write(unit)

    async def messages(self, user_id: UserId, device_id: str, next_batch: str | None) -> Messages:
        """Messages to the dehydrated device, those after ``next_batch`` or from the first.

        Raises InvalidParam, NotFound, and Forbidden where the user's dehydrated device is another.
        """
        after = _position(next_batch)

        async def unit(tx: Transaction) -> list[tuple[int, bytes]]:
            device = await _existing(tx, user_id)
            if device.device_id != device_id:
                raise Forbidden("That is not the user's dehydrated device")
            return await to_device.pending(tx, user_id, device_id, after=after, upto=END, limit=PAGE)

        rows = await self._db.read(unit)
        position = rows[-1][0] if rows else after
        return Messages(events=[msgspec.Raw(bytes(event)) for _, event in rows], next_batch=str(position))


def _position(next_batch: str | None) -> int:
    if next_batch is None:
        return 0
    if not next_batch.isascii() or not next_batch.isdigit() or len(next_batch) > 18:
        raise InvalidParam("Not a next_batch of this endpoint")
    return int(next_batch)


async def _existing(tx: Transaction, user_id: UserId) -> DehydratedDevice:
    device = await storage.find(tx, user_id)
    if device is None:
        raise NotFound("There is no dehydrated device")
    return device
