"""Accounts and devices as Matrix Authentication Service wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palpo.core.errors import NotFound
from palpo.core.identifiers import UserId, make_user_id
from palpo.core.records.accounts import Account
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts import AccountServices
from palpo.services.accounts.profiles import Profile, check_value
from palpo.services.administration.users import UserAdministration
from palpo.services.server import Server
from palpo.storage import accounts as storage
from palpo.storage.devices import ids_of

EMAIL = "email"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What is to become of an account: what is None stays, what is empty goes."""

    displayname: str | None = None
    avatar_url: str | None = None
    emails: Sequence[str] | None = None
    locked: bool | None = None


class DelegatedAccounts:
    """Makes and changes accounts and devices, and ends them. Each can be asked for again and again."""

    def __init__(self, server: Server, accounts: AccountServices, users: UserAdministration) -> None:
        self._db = server.db
        self._clock = server.clock
        self._name = server.name
        self._accounts = accounts
        self._users = users

    async def find(self, localpart: str) -> Account:
        """An account, also one that has ended; raises InvalidParam, NotFound."""
        account = await self._accounts.accounts.find(make_user_id(localpart, self._name))
        if account is None:
            raise NotFound("There is no such user")
        return account

    async def profile(self, user_id: UserId) -> Profile:
        """What a user says of themselves."""
        return await self._accounts.profiles.get(user_id)

    async def provision(self, localpart: str, wanted: Provisioned) -> bool:
        """Make an account, unless it is there, and change it; whether it was made.

        Raises InvalidParam; M_INVALID_USERNAME, M_EXCLUSIVE (400) for who can have no account.
        """
        for key, value in (("displayname", wanted.displayname), ("avatar_url", wanted.avatar_url)):
            if value:
                check_value(key, value)
        user_id = make_user_id(localpart, self._name)
        created = await self._accounts.accounts.find(user_id) is None
        if created:
            await self._accounts.registration.register(localpart, None, None)
        if wanted.displayname is not None:
            await self.set_displayname(user_id, wanted.displayname)
        if wanted.avatar_url is not None:
            await self._accounts.profiles.set_field(user_id, "avatar_url", wanted.avatar_url)
        if wanted.emails is not None:
            await self._set_emails(user_id, wanted.emails)
        if wanted.locked is not None:
            await self._accounts.accounts.set_flags(user_id, locked=wanted.locked)
        return created

    async def set_displayname(self, user_id: UserId, displayname: str) -> None:
        """Name a user; empty: not any more."""
        await self._accounts.profiles.set_field(user_id, "displayname", displayname)

    async def _set_emails(self, user_id: UserId, emails: Sequence[str]) -> None:
        """Addresses that another account has are left there: it is no reason to refuse the rest."""
        threepids = self._accounts.threepids
        before = [(item.medium, item.address) for item in await threepids.of_user(user_id)]
        wanted = [
            item
            for item in await threepids.with_emails(user_id, emails)
            if await threepids.owner_of(*item) in (None, user_id)
        ]
        if sorted(wanted) != sorted(before):
            await threepids.replace(user_id, wanted)

    async def sync_devices(self, user_id: UserId, wanted: Sequence[str]) -> None:
        """Let a user have these devices and no others."""
        there = (await self._db.read(lambda tx: ids_of(tx, [user_id]))).get(user_id, set())
        await self._accounts.devices.remove(user_id, sorted(there.difference(wanted)))
        new = sorted(set(wanted) - there)

        async def unit(tx: WriteTransaction) -> None:
            now = self._clock.now_ms()
            for device_id in new:
                await storage.ensure_device(tx, user_id, device_id, display_name=None, created_ts=now)
            await self._accounts.device_removal.make_room(tx, user_id, new[-1])

        if new:
            await self._db.write(unit)

    async def delete(self, account: Account, *, erase: bool) -> None:
        """End an account."""
        if not account.deactivated or erase:
            await self._users.deactivate(account.user_id, erase=erase)

    async def reactivate(self, account: Account) -> None:
        """Let an account that has ended be one again."""
        if account.deactivated:
            await self._accounts.accounts.reactivate(account.user_id)
