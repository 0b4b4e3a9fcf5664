"""Removing devices, and everything that belongs to one.

What goes is said by the tables (``db.tables.kept``). Who tells others of it does so through a hook, within
the unit of work that removes the devices, and before anything is gone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

from palpo.core.identifiers import UserId
from palpo.core.records.quotas import Kind
from palpo.db.transaction import WriteTransaction
from palpo.services.server.quotas import Quotas
from palpo.storage import account_rows, accounts, browser_sessions, device_lists, sessions

Hook = Callable[[WriteTransaction, UserId, Sequence[str]], Awaitable[None]]
"""``async def hook(tx, user_id, device_ids)``."""


class DeviceRemoval:
    """Removes devices with all that is theirs."""

    def __init__(self, quotas: Quotas, hooks: Iterable[Hook]) -> None:
        self._quotas = quotas
        self._hooks = hooks

    async def remove(self, tx: WriteTransaction, user_id: UserId, device_ids: Sequence[str]) -> None:
        """Remove ``device_ids`` of a user's, within a unit of work; unknown ones do no harm."""
        if not device_ids:
            return
        for hook in self._hooks:
            await hook(tx, user_id, device_ids)
        await account_rows.delete_devices(tx, user_id, device_ids)
        await self._quotas.recount(tx, user_id, *account_rows.COUNTED_OF_DEVICES)

    async def make_room(self, tx: WriteTransaction, user_id: UserId, device_id: str) -> None:
        """Count the user's new device; those that were not used for longest go where they are too many.

        Nobody is kept from logging in by devices that they cannot log out without logging in. The user's
        other devices, which list it, are told.
        """
        await tx.positions()
        count = len(await accounts.device_ids(tx, user_id))
        if count > 1:
            await device_lists.record(tx, user_id, observer=user_id)
        limit = self._quotas.limit(Kind.DEVICES, user_id)
        if limit is not None and count > limit:
            idle = await accounts.idle_devices(tx, user_id, besides=device_id, count=count - limit)
            await self.remove(tx, user_id, idle)
        else:
            await self._quotas.settle(tx, user_id, {Kind.DEVICES: count})

    async def remove_all(self, tx: WriteTransaction, user_id: UserId, *, keep: str | None = None) -> None:
        """Remove a user's devices and access tokens, all but the device ``keep``; browsers are signed out."""
        found = await accounts.device_ids(tx, user_id)
        await self.remove(tx, user_id, [device_id for device_id in found if device_id != keep])
        if keep is None:
            await sessions.delete_user(tx, user_id)
        await browser_sessions.delete_user(tx, user_id)
