"""Removing devices, and everything that belongs to one.

Whatever keeps rows of a device's (keys, to-device messages, pushers) is told through a hook. Hooks run
inside the unit of work that removes the devices, in their order, before the devices' own rows go.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from palpo.core.records.quotas import Kind
from palpo.db.transaction import WriteTransaction
from palpo.services.server.quotas import Quotas
from palpo.storage import accounts, keys, sessions

Hook = Callable[[WriteTransaction, str, Sequence[str]], Awaitable[None]]
"""``async def forget_devices(tx, user_id, device_ids)``."""


class DeviceRemoval:
    """Removes devices with all that is theirs."""

    def __init__(self, quotas: Quotas, hooks: Iterable[Hook]) -> None:
        self._quotas = quotas
        self._hooks = hooks

    async def remove(self, tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
        """Remove ``device_ids`` of a user's, within a unit of work; unknown ones do no harm."""
        if not device_ids:
            return
        for hook in self._hooks:
            await hook(tx, user_id, device_ids)
        for device_id in device_ids:
            await sessions.delete_device(tx, user_id, device_id)
            await accounts.delete_device(tx, user_id, device_id)
        left = len(await accounts.device_ids(tx, user_id))
        key_bytes = await keys.size_of_all(tx, user_id)
        await self._quotas.settle(tx, user_id, {Kind.DEVICES: left, Kind.KEY_BYTES: key_bytes})

    async def make_room(self, tx: WriteTransaction, user_id: str, device_id: str) -> None:
        """Count the user's new device; those that were not used for longest go where they are too many.

        Nobody is kept from logging in by devices that they cannot log out without logging in.
        """
        await tx.positions()
        count = len(await accounts.device_ids(tx, user_id))
        limit = self._quotas.limit(Kind.DEVICES, user_id)
        if limit is not None and count > limit:
            idle = await accounts.idle_devices(tx, user_id, besides=device_id, count=count - limit)
            await self.remove(tx, user_id, idle)
        else:
            await self._quotas.settle(tx, user_id, {Kind.DEVICES: count})

    async def remove_all(self, tx: WriteTransaction, user_id: str, *, keep: str | None = None) -> None:
        """Remove a user's devices and access tokens, all but the device ``keep``."""
        found = await accounts.device_ids(tx, user_id)
        await self.remove(tx, user_id, [device_id for device_id in found if device_id != keep])
        if keep is None:
            await sessions.delete_user(tx, user_id)
