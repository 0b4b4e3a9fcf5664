"""What becomes of accounts after they were made: passwords, moderation, deactivation."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial

from palpo.config.model import Config
from palpo.core.errors import Conflict, Forbidden, InsufficientStorage, InvalidParam, NotFound, Unavailable
from palpo.core.identifiers import UserId, server_name_of
from palpo.core.records.accounts import Account
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.tables.kept import Until
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.passwords import Passwords
from palpo.services.server.quotas import Quotas
from palpo.storage import account_rows, sessions
from palpo.storage import accounts as storage

RETRY_SECONDS = 10.0
DeactivationHook = Callable[[UserId], Awaitable[None]]
"""``async def hook(user_id)``, after a deactivation, and again where it was cut short.

Hooks may do units of work of their own; each must be able to run again for the same user, since those
that a stop or a crash has kept from running all run at the next start.
"""

PAGE = 500
"""Accounts that are read at once."""


class Accounts:
    """Changes accounts."""

    def __init__(
        self,
        config: Config,
        db: Database,
        passwords: Passwords,
        removal: DeviceRemoval,
        quotas: Quotas,
        hooks: Iterable[DeactivationHook],
    ) -> None:
        self._config = config
        self._db = db
        self._passwords = passwords
        self._removal = removal
        self._quotas = quotas
        self._hooks = hooks

    async def find(self, user_id: str) -> Account | None:
        """A user of this server."""
        return await self._db.read(lambda tx: storage.find(tx, user_id))

    async def all(self) -> AsyncIterator[Account]:
        """Every account that is not deactivated, by user ID."""
        after = ""
        while users := await self._db.read(partial(storage.active_after, after=after, limit=PAGE)):
            found = await self._db.read(partial(storage.find_all, user_ids=users))
            for user_id in users:
                if user_id in found:
                    yield found[user_id]
            after = users[-1]

    async def set_password(
        self, user_id: UserId, password: str, *, log_out: bool, keep_device: str | None = None
    ) -> None:
        """Replace a password; ``log_out`` removes all devices but ``keep_device``.

        Raises M_WEAK_PASSWORD (400) and InvalidParam.
        """
        refuse_passwords(self._config)
        hash_ = await self._passwords.hash_new(password)

        async def unit(tx: WriteTransaction) -> None:
            await storage.set_password(tx, user_id, hash_)
            if log_out:
                await storage.delete_login_tokens(tx, user_id)
                await self._removal.remove_all(tx, user_id, keep=keep_device)

        await self._db.write(unit)

    async def set_flags(self, user_id: str, **flags: bool) -> None:
        """Set some of an account's ``Flags``, by name."""
        await self._db.write(lambda tx: storage.set_flags(tx, user_id, **flags))

    async def deactivate(self, user_id: UserId, *, erase: bool) -> None:
        """End an account for good: no login any more, no devices, no name free to register."""

        async def unit(tx: WriteTransaction) -> None:
            await self._removal.remove_all(tx, user_id)
            await storage.deactivate(tx, user_id, erase=erase)

        await self._db.write(unit)
        await self._see_to_deactivation(user_id, erase)

    async def reactivate(self, user_id: UserId) -> None:
        """Let an account that is gone be one again, without a password.

        Raises Conflict where it is none, or its end is still being seen to.
        """
        if not await self._db.write(lambda tx: storage.reactivate(tx, user_id)):
            raise Conflict("The account is not deactivated, or not yet quite")

    async def set_type(self, user_id: UserId, user_type: str | None) -> None:
        """Say what kind of user somebody is: ``bot``, ``support``, None for a person."""
        await self._db.write(lambda tx: storage.set_type(tx, user_id, user_type))

    async def set_admin(self, user_id: UserId, is_admin: bool) -> None:
        """Make somebody an administrator; who is none any more is logged out of the accounts of others."""

        async def unit(tx: WriteTransaction) -> None:
            await storage.set_flags(tx, user_id, is_admin=is_admin)
            if not is_admin:
                await sessions.delete_made_by(tx, user_id)

        await self._db.write(unit)

    async def finish_deactivations(self) -> None:
        """See to the deactivations that a stop or a crash has cut short, as soon as the database lets us."""
        while True:
            try:
                for user_id, erase in await self._db.read(storage.unfinished_deactivations):
                    await self._see_to_deactivation(user_id, erase)
            except (DatabaseError, Unavailable, InsufficientStorage):
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def _see_to_deactivation(self, user_id: UserId, erase: bool) -> None:
        for until in (Until.DEACTIVATION, Until.ERASURE) if erase else (Until.DEACTIVATION,):
            await self._db.write(partial(self._delete, user_id, until))
        for hook in self._hooks:
            await hook(user_id)
        await self._db.write(lambda tx: storage.end_deactivation(tx, user_id))

    async def _delete(self, user_id: str, until: Until, tx: WriteTransaction) -> None:
        await account_rows.delete_user(tx, user_id, until)
        await self._quotas.recount(tx, user_id, *account_rows.COUNTED_UNTIL[until])

    async def moderated(self, user_id: UserId) -> Account:
        """The account that an administrator wants to look at or act on.

        Raises InvalidParam for another server's user, NotFound, and Forbidden for an administrator.
        """
        if server_name_of(user_id) != self._config.server_name:
            raise InvalidParam("The user is not of this server")
        account = await self.find(user_id)
        if account is None or account.deactivated:
            raise NotFound("There is no such user")
        if account.is_admin or user_id in self._config.admins:
            raise Forbidden("The user is an administrator")
        return account


def refuse_passwords(config: Config) -> None:
    """Raises InvalidParam where Matrix Authentication Service signs users in, not this server."""
    if config.delegated:
        raise InvalidParam("Accounts are made, and passwords set, in Matrix Authentication Service")
