"""What administrators do with accounts, however they ask for it."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import BadRequest, Conflict, Forbidden, InvalidParam, MatrixError
from palpo.core.identifiers import MAX_LENGTH, UserId, localpart_of
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts import AccountServices
from palpo.services.accounts.accounts import refuse_passwords
from palpo.services.accounts.profiles import SHOWN_IN_ROOMS, check_value
from palpo.services.accounts.registration import check_user_type
from palpo.services.accounts.threepids import canonical_threepid, threepid_in_use
from palpo.services.administration.user_lists import UserLists
from palpo.services.server import Server
from palpo.storage import accounts as account_storage
from palpo.storage import external_ids, rate_limits, sessions
from palpo.storage.rate_limits import Override

MAX_RATE = 2**31
KEEP = object()
"""In place of a user type: it stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of an account: what is None stays."""

    password: str | None = None
    log_out: bool = True
    """With a new password: all devices."""
    displayname: str | None = None
    """Empty: none."""
    avatar_url: str | None = None
    threepids: Sequence[tuple[str, str]] | None = None
    """``(medium, address)`` of each."""
    external_ids: Sequence[tuple[str, str]] | None = None
    """``(provider, external ID)`` of each."""
    admin: bool | None = None
    deactivated: bool | None = None
    locked: bool | None = None
    suspended: bool | None = None
    user_type: object = KEEP
    """``bot``, ``support``, None, or KEEP."""


class UserAdministration:
    """Makes, changes and ends accounts."""

    def __init__(self, server: Server, accounts: AccountServices, lists: UserLists) -> None:
        self._db = server.db
        self._clock = server.clock
        self._accounts = accounts
        self._lists = lists
        self._config = server.config

    async def put(self, user_id: UserId, change: Change, *, by: UserId) -> bool:
        """Change an account, or make it where there is none; whether it was made.

        Raises InvalidParam, Conflict for what another account has, M_THREEPID_IN_USE, M_INVALID_USERNAME,
        M_EXCLUSIVE, M_WEAK_PASSWORD (400), Forbidden for who wants to take their own rights away.
        """
        self._lists.check_local(user_id)
        self._check(change)
        await self._check_free(user_id, change)
        account = await self._accounts.accounts.find(user_id)
        if account is None or change.password is not None:
            refuse_passwords(self._config)
        if user_id == by and change.admin is False:
            raise _no_demotion()
        if account is None:
            await self._create(user_id, change)
        else:
            await self._set_activity(user_id, account.deactivated, change)
            if change.password is not None:
                await self._accounts.accounts.set_password(user_id, change.password, log_out=change.log_out)
            if change.user_type is not KEEP:
                await self._accounts.accounts.set_type(user_id, _type(change))
            if change.admin is not None and change.admin != account.is_admin:
                await self._accounts.accounts.set_admin(user_id, change.admin)
        await self._set_names(user_id, change)
        flags = {
            name: flag for name in ("locked", "suspended") if (flag := getattr(change, name)) is not None
        }
        if flags:
            await self._accounts.accounts.set_flags(user_id, **flags)
        if account is None and change.deactivated:
            await self.deactivate(user_id, erase=False)
        return account is None

    def _check(self, change: Change) -> None:
        """Before anything is done. Raises InvalidParam, M_WEAK_PASSWORD (400)."""
        if change.password is not None:
            self._accounts.registration.check_password(change.password)
        for key in SHOWN_IN_ROOMS:
            if value := getattr(change, key):
                check_value(key, value)
        if change.user_type is not KEEP:
            check_user_type(_type(change))
        for medium, address in change.threepids or ():
            canonical_threepid(medium, address)
        for item in change.external_ids or ():
            for text in item:
                if not 0 < len(text.encode()) <= MAX_LENGTH or "\0" in text:
                    raise InvalidParam(f"An external ID and its provider have 1 to {MAX_LENGTH} bytes")

    async def _check_free(self, user_id: UserId, change: Change) -> None:
        """Likewise. Raises M_THREEPID_IN_USE (400), and Conflict for an external ID of somebody else."""
        for medium, address in change.threepids or ():
            if await self._accounts.threepids.owner_of(medium, address) not in (None, user_id):
                raise threepid_in_use()
        for provider, external_id in change.external_ids or ():
            owner = await self._db.read(
                partial(external_ids.find, provider=provider, external_id=external_id)
            )
            if owner not in (None, user_id):
                raise _external_id_in_use()

    async def _create(self, user_id: UserId, change: Change) -> None:
        localpart = localpart_of(user_id)
        if localpart != localpart.lower():
            raise BadRequest("A new user ID is in lower case", errcode="M_INVALID_USERNAME")
        kind = None if change.user_type is KEEP else _type(change)
        await self._accounts.registration.register(
            localpart, change.password, None, admin=bool(change.admin), user_type=kind
        )

    async def _set_activity(self, user_id: UserId, deactivated: bool, change: Change) -> None:
        if change.deactivated is None or change.deactivated == deactivated:
            return
        if change.deactivated:
            await self.deactivate(user_id, erase=False)
        else:
            await self._accounts.accounts.reactivate(user_id)

    async def _set_names(self, user_id: UserId, change: Change) -> None:
        if change.threepids is not None:
            for medium, address in await self._accounts.threepids.replace(user_id, change.threepids):
                with contextlib.suppress(MatrixError):
                    await self._accounts.identity_servers.unbind(user_id, medium, address, None)
        if change.external_ids is not None:
            await self._set_external_ids(user_id, change.external_ids)
        for key in SHOWN_IN_ROOMS:
            if (value := getattr(change, key)) is not None:
                await self._accounts.profiles.set_field(user_id, key, value)

    async def _set_external_ids(self, user_id: UserId, new: Sequence[tuple[str, str]]) -> None:
        try:
            await self._db.write(lambda tx: external_ids.replace(tx, user_id, new))
        except UniqueViolation:
            raise _external_id_in_use() from None

    async def deactivate(self, user_id: UserId, *, erase: bool) -> bool:
        """End an account; whether identity servers have forgotten the user. Raises NotFound, InvalidParam."""
        await self._lists.account(user_id)
        unbound = await self._accounts.identity_servers.unbind_all(user_id, None)
        await self._accounts.accounts.deactivate(user_id, erase=erase)
        return unbound

    async def set_password(self, user_id: UserId, password: str, *, log_out: bool) -> None:
        """Replace a password; raises NotFound, InvalidParam, M_WEAK_PASSWORD (400)."""
        await self._lists.account(user_id)
        await self._accounts.accounts.set_password(user_id, password, log_out=log_out)

    async def set_admin(self, user_id: UserId, is_admin: bool, *, by: UserId) -> None:
        """Make somebody an administrator, or not any more; raises NotFound, InvalidParam."""
        await self._lists.account(user_id)
        if user_id == by and not is_admin:
            raise _no_demotion()
        await self._accounts.accounts.set_admin(user_id, is_admin)

    async def set_flags(self, user_id: UserId, **flags: bool) -> None:
        """Set ``locked``, ``suspended`` or ``shadow_banned``; raises NotFound, InvalidParam."""
        await self._lists.account(user_id)
        await self._accounts.accounts.set_flags(user_id, **flags)

    async def log_in_as(self, user_id: UserId, *, by: UserId, valid_until_ms: int | None = None) -> str:
        """An access token with which ``by`` acts as a user, of no device; the user is not told.

        It ends at a time, when it logs out, when ``by`` logs out everywhere or is no administrator any more,
        and when the account ends. Raises NotFound, InvalidParam; M_USER_DEACTIVATED (403).
        """
        account = await self._lists.account(user_id)
        if self._config.delegated:
            raise InvalidParam("Administrators log in as others in Matrix Authentication Service")
        if user_id == by:
            raise InvalidParam("You are logged in as yourself already")
        if account.deactivated:
            raise Forbidden("The account has been deactivated", errcode="M_USER_DEACTIVATED")
        now = self._clock.now_ms()
        if valid_until_ms is not None and valid_until_ms <= now:
            raise InvalidParam("valid_until_ms is past")
        token = secrets.token_urlsafe(32)

        async def unit(tx: WriteTransaction) -> bool:
            found = await account_storage.find(tx, user_id)
            if found is None or found.deactivated:
                return False
            await sessions.insert(
                tx,
                access_token=token,
                refresh_token=None,
                user_id=user_id,
                device_id=None,
                created_ts=now,
                expires_ts=valid_until_ms,
                made_by=by,
            )
            return True

        if not await self._db.write(unit):
            raise Forbidden("The account has been deactivated", errcode="M_USER_DEACTIVATED")
        return token

    async def rate_limit(self, user_id: UserId) -> Override | None:
        """What a user may do in place of what the configuration says; raises NotFound, InvalidParam."""
        await self._lists.account(user_id)
        return await self._db.read(lambda tx: rate_limits.find(tx, user_id))

    async def set_rate_limit(self, user_id: UserId, *, per_second: int, burst: int) -> None:
        """Let a user make so many calls, or any number where both are 0; raises NotFound, InvalidParam.

        It is in force at once, in all processes.
        """
        await self._lists.account(user_id)
        if not 0 <= min(per_second, burst) <= max(per_second, burst) <= MAX_RATE:
            raise InvalidParam(f"Both are at least 0, and at most {MAX_RATE}")
        override = Override(per_second=per_second, burst=burst)
        await self._db.write(lambda tx: rate_limits.put(tx, user_id, override))

    async def remove_rate_limit(self, user_id: UserId) -> None:
        """Let a user do what the configuration says; raises NotFound, InvalidParam."""
        await self._lists.account(user_id)
        await self._db.write(lambda tx: rate_limits.remove(tx, user_id))


def _type(change: Change) -> str | None:
    return change.user_type if isinstance(change.user_type, str) else None


def _external_id_in_use() -> Conflict:
    return Conflict("The external ID is another user's")


def _no_demotion() -> InvalidParam:
    return InvalidParam("You cannot take your own rights away")
