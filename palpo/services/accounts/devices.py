"""Devices as their users manage them (spec: client-server API, "Device Management")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from palpo.core.errors import Forbidden, InvalidParam, NotFound
from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.last_seen import LastSeen
from palpo.storage import accounts, cross_signing, device_lists, keys
from palpo.storage import devices as storage
from palpo.storage.devices import Device
from palpo.streams.clock import Clock

MAX_DISPLAY_NAME = 255
"""Characters."""


class Devices:
    """Lists, names and removes devices."""

    def __init__(self, db: Database, clock: Clock, last_seen: LastSeen, removal: DeviceRemoval) -> None:
        self._db = db
        self._clock = clock
        self._last_seen = last_seen
        self._removal = removal

    async def list(self, user_id: UserId) -> list[Device]:
        """A user's devices, by ID."""
        found = await self._db.read(lambda tx: storage.all_of(tx, user_id))
        return [self._with_last_seen(user_id, device) for device in found]

    async def get(self, user_id: UserId, device_id: str) -> Device:
        """One device; raises NotFound."""
        device = await self._db.read(lambda tx: storage.find(tx, user_id, device_id))
        if device is None:
            raise NotFound("No such device")
        return self._with_last_seen(user_id, device)

    async def rename(self, user_id: UserId, device_id: str, display_name: str | None) -> None:
        """Replace the display name, which others see beside the device's keys; None leaves it.

        Raises NotFound and InvalidParam.
        """
        check_display_name(display_name)

        async def unit(tx: WriteTransaction) -> None:
            device = await storage.find(tx, user_id, device_id)
            if device is None:
                raise NotFound("No such device")
            if display_name is None or device.display_name == display_name:
                return
            await storage.rename(tx, user_id, device_id, display_name)
            await _tell(
                tx, user_id, with_keys=await keys.find_device_keys(tx, user_id, device_id) is not None
            )

        await self._db.write(unit)

    async def ensure(self, user_id: UserId, device_id: str, display_name: str | None) -> bool:
        """Create or rename an application service user's device; whether it is new (MSC4190).

        Raises InvalidParam, and Forbidden where a cross-signing key is called so.
        """
        check_display_name(display_name)

        async def unit(tx: WriteTransaction) -> bool:
            await refuse_device_id(tx, user_id, device_id)
            new = await accounts.ensure_device(
                tx, user_id, device_id, display_name=display_name, created_ts=self._clock.now_ms()
            )
            if new:
                await self._removal.make_room(tx, user_id, device_id)
            return new

        created = await self._db.write(unit)
        if not created:
            await self.rename(user_id, device_id, display_name)
        return created

    async def remove(self, user_id: UserId, device_ids: Sequence[str]) -> None:
        """Remove devices with all that is theirs; unknown ones do no harm."""

        async def unit(tx: WriteTransaction) -> None:
            known = (await storage.ids_of(tx, [user_id])).get(user_id, set())
            await self._removal.remove(tx, user_id, sorted(known.intersection(device_ids)))

        await self._db.write(unit)

    def _with_last_seen(self, user_id: UserId, device: Device) -> Device:
        seen = self._last_seen.of(user_id, device.device_id)
        if seen is None:
            return device
        return replace(device, last_seen_ts=seen.ts, last_seen_ip=seen.ip, user_agent=seen.user_agent)


def check_display_name(display_name: str | None) -> None:
    """Raises InvalidParam for a display name that is too long."""
    if display_name is not None and len(display_name) > MAX_DISPLAY_NAME:
        raise InvalidParam(f"A display name has at most {MAX_DISPLAY_NAME} characters")


async def tell_of_removal(tx: WriteTransaction, user_id: UserId, device_ids: Sequence[str]) -> None:
    """Tell of devices that are being removed."""
    found = [await keys.find_device_keys(tx, user_id, device_id) for device_id in device_ids]
    await _tell(tx, user_id, with_keys=any(found))


async def _tell(tx: WriteTransaction, user_id: UserId, *, with_keys: bool) -> None:
    """Tell of a changed device: everybody where it has keys, else the user's own devices, which list it."""
    await device_lists.record(tx, user_id, observer=device_lists.EVERYONE if with_keys else user_id)


async def refuse_device_id(tx: Transaction, user_id: UserId, device_id: str) -> None:
    """Raises Forbidden where a new device would be called as one of the user's cross-signing keys.

    Both are signed as ``ed25519:name`` (spec: "Key and signature security").
    """
    found = await cross_signing.of_users(tx, [user_id])
    if any(key.public_key == device_id for key in found.values()):
        raise Forbidden("The device ID is that of a cross-signing key")
