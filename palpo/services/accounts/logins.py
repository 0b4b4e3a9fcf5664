"""Logging in and out: from credentials to access tokens, and their refreshing."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from palpo.config.model import Config
from palpo.core.bounded_text import check_text
from palpo.core.errors import Forbidden, InvalidParam, MatrixError, UnknownToken
from palpo.core.identifiers import MAX_LENGTH, UserId, make_user_id, parse_user_id, server_name_of
from palpo.core.records.accounts import Account, locked
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.devices import refuse_device_id
from palpo.services.accounts.passwords import FailedLogins, Passwords
from palpo.services.accounts.sessions import Requester
from palpo.storage import accounts as storage
from palpo.storage import oauth, sessions
from palpo.streams.clock import Clock

PasswordCheck = Callable[[str, str], Awaitable[Account | None]]
"""``async def check(user, password)``: the account of who has the password elsewhere, as in a directory."""

DEVICE_ID_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LOGIN_TOKEN_MS = 120_000
MAX_DISPLAY_NAME = 255
"""Characters of a device's display name that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """What a login is answered with. ``expires_in_ms`` is None for a token that does not expire."""

    user_id: UserId
    device_id: str
    access_token: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceChoice:
    """Which device a login is for, as the client asks.

    ``device_id`` None has one made up; ``display_name`` counts only for a device that is new;
    ``refreshable`` says that the client can refresh its access token.
    """

    device_id: str | None = None
    display_name: str | None = None
    refreshable: bool = False

    def __post_init__(self) -> None:
        check_device_id(self.device_id)


def check_device_id(device_id: str | None) -> None:
    """Raises InvalidParam for a device ID that cannot be stored."""
    if device_id is not None:
        check_text(device_id, "A device ID")


class Logins:
    """Proves who someone is, and hands out access tokens."""

    def __init__(
        self,
        config: Config,
        db: Database,
        clock: Clock,
        passwords: Passwords,
        failures: FailedLogins,
        removal: DeviceRemoval,
        elsewhere: Iterable[PasswordCheck] = (),
    ) -> None:
        """``elsewhere`` are asked about passwords that are not an account's own."""
        self._elsewhere = elsewhere
        self._config = config
        self._db = db
        self._clock = clock
        self._passwords = passwords
        self._failures = failures
        self._removal = removal

    async def find(self, user: str) -> Account | None:
        """The account of a full user ID or a localpart, in lower case where it is not found as it is."""
        try:
            is_whole = user.startswith("@")
            user_id = parse_user_id(user) if is_whole else make_user_id(user, self._config.server_name)
        except InvalidParam:
            return None
        if server_name_of(user_id) != self._config.server_name:
            return None
        localpart, _, server = user_id.partition(":")
        lowered = f"{localpart.lower()}:{server}"
        found = await self._db.read(lambda tx: storage.find_all(tx, [user_id, lowered]))
        return found.get(user_id) or found.get(lowered)

    async def check_password(self, user: str, password: str, *, asker: UserId | None = None) -> Account:
        """The account that ``user`` and ``password`` prove; an unknown one costs the same time.

        ``asker`` is who is logged in already: whoever guesses from outside does not spend their attempts.
        Raises Forbidden, M_USER_DEACTIVATED (403) and LimitExceeded.
        """
        account = await self.find(user)
        budget = f"{asker} {account.user_id if account else user[:MAX_LENGTH]}"
        self._failures.charge(budget)
        hash_ = account.password_hash if account else None
        right = await self._passwords.verify(password, hash_)
        if account is not None and account.deactivated:
            raise deactivated()
        if account is None or hash_ is None or not right:
            account = await self._check_elsewhere(account.user_id if account else user, password)
            self._failures.refund(budget)
            return account
        self._failures.refund(budget)
        if self._passwords.outdated(hash_):
            return await self._rehash(account, password)
        return account

    async def _check_elsewhere(self, user: str, password: str) -> Account:
        for check in self._elsewhere:
            found = await check(user, password)
            if found is not None:
                return found
        raise Forbidden("Wrong username or password")

    async def log_in(self, account: Account, choice: DeviceChoice) -> NewSession:
        """A new session for an account that has been proved; the device's older tokens are revoked.

        Raises M_USER_LOCKED (401) for a locked account, M_USER_DEACTIVATED (403) for one that is gone,
        and Forbidden where the password was changed meanwhile, and for a device ID that is one of the
        user's cross-signing keys.
        """
        new = self.new_session(account.user_id, choice)

        async def unit(tx: WriteTransaction) -> None:
            await _check_still(tx, account)
            await self.store(tx, new, choice)

        await self._db.write(unit)
        return new

    def new_session(self, user_id: UserId, choice: DeviceChoice) -> NewSession:
        """A session that is to be stored by ``store``."""
        device_id = choice.device_id or "".join(secrets.choice(DEVICE_ID_LETTERS) for _ in range(10))
        return self._draw(user_id, device_id, refreshable=choice.refreshable)

    async def store(self, tx: WriteTransaction, new: NewSession, choice: DeviceChoice) -> None:
        """Store a new session in place of the device's older ones, within a unit of work."""
        if choice.device_id is not None:
            await refuse_device_id(tx, new.user_id, choice.device_id)
        name = choice.display_name[:MAX_DISPLAY_NAME] if choice.display_name else None
        created = await storage.ensure_device(
            tx, new.user_id, new.device_id, display_name=name, created_ts=self._clock.now_ms()
        )
        if created:
            await self._removal.make_room(tx, new.user_id, new.device_id)
        else:
            await sessions.delete_device(tx, new.user_id, new.device_id)
            await oauth.delete_grant_of(tx, new.user_id, new.device_id)
        await self._insert(tx, new, used=True)

    async def store_another(self, tx: WriteTransaction, new: NewSession) -> bool:
        """Store one more session of a device that has one; False where it, or the account, is gone."""
        account = await storage.find(tx, new.user_id)
        if account is None or account.deactivated or account.locked:
            return False
        if new.device_id not in await storage.device_ids(tx, new.user_id):
            return False
        await self._insert(tx, new, used=True)
        return True

    async def log_out(self, requester: Requester) -> None:
        """Revoke the access token and delete its device."""
        session = requester.session
        if session is None:
            return

        async def unit(tx: WriteTransaction) -> None:
            if session.device_id is not None:
                await self._removal.remove(tx, session.user_id, [session.device_id])
            await sessions.delete_token(tx, session)

        await self._db.write(unit)

    async def log_out_everywhere(self, user_id: UserId) -> None:
        """Revoke all access tokens of a user and delete all devices."""
        await self._db.write(lambda tx: self._removal.remove_all(tx, user_id))

    async def refresh(self, refresh_token: str) -> NewSession:
        """New tokens for the device of ``refresh_token``, which works until one of them is used.

        Raises UnknownToken, and M_USER_LOCKED (401) for a locked account.
        """

        if "." in refresh_token:
            # A grant's: those are refreshed, and what is shown a second time is found, where OAuth has it.
            raise UnknownToken("The refresh token is not known")
        outcome = await self._db.write(lambda tx: self.exchange(tx, refresh_token))
        if isinstance(outcome, MatrixError):
            raise outcome
        return outcome

    async def exchange(
        self, tx: WriteTransaction, refresh_token: str, *, next_token: str | None = None
    ) -> NewSession | MatrixError:
        """As ``refresh``, within a unit of work, whose writes count also where it refuses.

        ``next_token`` is the new refresh token; None has it drawn.
        """
        old = await sessions.find_refresh(tx, refresh_token)
        account = None if old is None else await storage.find(tx, old.user_id)
        if old is None or account is None or account.deactivated:
            return UnknownToken("The refresh token is not known")
        if account.locked:
            return locked()
        if not old.used:
            await sessions.mark_used(tx, old.token_hash, old.user_id, old.device_id)
        await sessions.delete_stale(tx, old.user_id, old.device_id, now_ms=self._clock.now_ms())
        new = self._draw(old.user_id, old.device_id, refreshable=True)
        if next_token is not None:
            new = replace(new, refresh_token=next_token)
        await self._insert(tx, new, used=False)
        return new

    async def make_login_token(self, user_id: UserId, *, lifetime_ms: int = LOGIN_TOKEN_MS) -> str:
        """A token that logs in as ``user_id`` once, within ``lifetime_ms``."""
        token = secrets.token_urlsafe(32)
        expires_ts = self._clock.now_ms() + lifetime_ms
        await self._db.write(lambda tx: storage.insert_login_token(tx, token, user_id, expires_ts=expires_ts))
        return token

    async def spend_login_token(self, token: str) -> Account:
        """Whose login token it is; raises Forbidden where it is spent, expired or unknown."""
        now_ms = self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> Account | None:
            user_id = await storage.spend_login_token(tx, token, now_ms=now_ms)
            return None if user_id is None else await storage.find(tx, user_id)

        account = await self._db.write(unit)
        if account is None:
            raise Forbidden("The login token is not valid")
        return account

    def _draw(self, user_id: UserId, device_id: str, *, refreshable: bool) -> NewSession:
        return NewSession(
            user_id=user_id,
            device_id=device_id,
            access_token=secrets.token_urlsafe(32),
            refresh_token=secrets.token_urlsafe(32) if refreshable else None,
            expires_in_ms=self._config.sessions.access_token_seconds * 1000 if refreshable else None,
        )

    async def _insert(self, tx: WriteTransaction, new: NewSession, *, used: bool) -> None:
        now = self._clock.now_ms()
        await sessions.insert(
            tx,
            access_token=new.access_token,
            refresh_token=new.refresh_token,
            user_id=new.user_id,
            device_id=new.device_id,
            created_ts=now,
            expires_ts=None if new.expires_in_ms is None else now + new.expires_in_ms,
            used=used,
        )

    async def _rehash(self, account: Account, password: str) -> Account:
        """The account with its password hashed as it is done today, unless the password was changed."""
        new = replace(account, password_hash=await self._passwords.hash(password))

        async def unit(tx: WriteTransaction) -> Account:
            current = await storage.find(tx, account.user_id)
            if current is None or current.password_hash != account.password_hash:
                return account
            await storage.set_password(tx, account.user_id, new.password_hash)
            return new

        return await self._db.write(unit)


async def _check_still(tx: Transaction, proved: Account) -> None:
    """Refuse a login to an account that is not what it was when it was proved, or was not good then."""
    account = await storage.find(tx, proved.user_id)
    if account is None or account.deactivated:
        raise deactivated()
    account.refuse_locked()
    if account.password_hash != proved.password_hash:
        raise Forbidden("The password has been changed")


def deactivated() -> Forbidden:
    """What is said of an account that is gone."""
    return Forbidden("This account has been deactivated", errcode="M_USER_DEACTIVATED")
