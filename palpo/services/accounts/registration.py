"""Making accounts: users, guests, and whoever knows the shared secret."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from palpo.core import identifiers
from palpo.core.errors import BadRequest, Forbidden, InvalidParam, NotFound
from palpo.core.identifiers import UserId
from palpo.core.records.accounts import Account
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.accounts import refuse_passwords
from palpo.services.accounts.appservices import AppServices
from palpo.services.accounts.logins import DeviceChoice, Logins, NewSession
from palpo.services.accounts.passwords import Passwords
from palpo.services.accounts.profiles import Profiles, check_value
from palpo.services.accounts.registration_tokens import RegistrationTokens
from palpo.services.accounts.sessions import Requester
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.services.accounts.user_interactive_auth import UserInteractiveAuth
from palpo.services.server import Server
from palpo.storage import accounts as storage
from palpo.storage.threepids import Session

LOCALPART_LETTERS = "abcdefghijklmnopqrstuvwxyz"
NONCE_MS = 60_000
USER_TYPES = (None, "bot", "support")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What user-interactive auth has shown of who registers."""

    uia_session: str
    request: bytes = b""
    """The hash of the request that it was shown for; empty where that is not to be known again."""
    address: Session | None = None
    """The validation of an email address."""


class Registration:
    """Makes accounts, each with a first session where that is wanted."""

    def __init__(
        self,
        server: Server,
        passwords: Passwords,
        logins: Logins,
        profiles: Profiles,
        appservices: AppServices,
        tokens: RegistrationTokens,
        threepids: ThirdPartyIds,
        interactive_auth: UserInteractiveAuth,
    ) -> None:
        self._config = server.config
        self._db = server.db
        self._clock = server.clock
        self._passwords = passwords
        self._logins = logins
        self._profiles = profiles
        self._appservices = appservices
        self._tokens = tokens
        self._threepids = threepids
        self._interactive_auth = interactive_auth
        self._secret = server.key.seed
        """Known to the server's processes only; nonces are made with it."""

    def user_id(self, username: str, *, appservice_id: str | None = None) -> UserId:
        """The user ID that ``username`` asks for, in lower case.

        Raises M_INVALID_USERNAME (400), and M_EXCLUSIVE (400) for what is, or is not, the application
        service's that asks.
        """
        localpart = username.lower() if username.isascii() else ""
        if not identifiers.valid_new_localpart(localpart):
            raise _invalid_username("A username consists of a-z, 0-9 and ._=-/+")
        if localpart.isdigit() and appservice_id is None:
            raise _invalid_username("Usernames of digits only are for guests")
        try:
            user_id = identifiers.make_user_id(localpart, self._config.server_name)
        except InvalidParam:
            raise _invalid_username("The username is too long") from None
        self._appservices.check_user(user_id, appservice_id)
        return user_id

    async def check_available(self, username: str) -> UserId:
        """As ``user_id``; raises M_USER_IN_USE (400) too."""
        user_id = self.user_id(username)
        if await self._db.read(lambda tx: storage.find(tx, user_id)) is not None:
            raise _in_use()
        return user_id

    async def repeated(
        self, uia_session: str, request: bytes, choice: DeviceChoice | None
    ) -> tuple[UserId, NewSession | None] | None:
        """What the same request has made in the same session, whose answer may have been lost.

        The tokens that were given then are kept nowhere, so there are others, for the same device. None
        where nothing was made, or the device has been logged out since.
        """
        found = await self._interactive_auth.result(uia_session, request)
        if found is None or found.user_id is None:
            return None
        if choice is None or found.device_id is None:
            return found.user_id, None
        session = self._logins.new_session(found.user_id, replace(choice, device_id=found.device_id))
        if not await self._db.write(lambda tx: self._logins.store_another(tx, session)):
            return None
        return found.user_id, session

    def check_password(self, password: str) -> None:
        """Hold a new password to the policy; raises M_WEAK_PASSWORD (400) and InvalidParam."""
        self._passwords.check_new(password)

    async def register(
        self,
        username: str | None,
        password: str | None,
        choice: DeviceChoice | None,
        *,
        admin: bool = False,
        user_type: str | None = None,
        proof: Proof | None = None,
    ) -> tuple[UserId, NewSession | None]:
        """A new account; its user ID, and its first session unless ``choice`` is None.

        A username is made up where there is none. Without a password nobody can log in by one. Raises
        M_INVALID_USERNAME, M_USER_IN_USE, M_WEAK_PASSWORD, M_THREEPID_IN_USE (400), InvalidParam.
        """
        if password is not None:
            refuse_passwords(self._config)
        user_id = await self.check_available(username) if username is not None else self._made_up()
        hash_ = None if password is None else await self._passwords.hash_new(password)
        account = Account(
            user_id=user_id,
            password_hash=hash_,
            is_admin=admin,
            user_type=user_type,
            created_ts=self._clock.now_ms(),
        )
        return await self._create(account, choice, proof)

    async def register_for_appservice(
        self, appservice_id: str, username: str, choice: DeviceChoice | None
    ) -> tuple[UserId, NewSession | None]:
        """A user of an application service, without a password; returns as ``register`` does.

        Raises M_INVALID_USERNAME, M_USER_IN_USE, M_EXCLUSIVE (400).
        """
        user_id = self.user_id(username, appservice_id=appservice_id)
        account = Account(user_id=user_id, appservice_id=appservice_id, created_ts=self._clock.now_ms())
        return await self._create(account, choice)

    async def register_linked(
        self, user_id: UserId, also: Callable[[WriteTransaction], Awaitable[None]]
    ) -> None:
        """An account for somebody who proves elsewhere who they are; ``also`` is written with it.

        ``user_id`` is what ``check_available`` has let through. Raises M_USER_IN_USE (400), and
        UniqueViolation where what ``also`` writes is there.
        """
        account = Account(user_id=user_id, created_ts=self._clock.now_ms())

        async def unit(tx: WriteTransaction) -> bool:
            if await storage.find(tx, user_id) is not None:
                return False
            await storage.insert(tx, account)
            await also(tx)
            return True

        if not await self._db.write(unit):
            raise _in_use()
        await self._profiles.set_field(user_id, "displayname", identifiers.localpart_of(user_id))

    def check_guest(self, guest: Requester, username: str | None) -> None:
        """Raises Forbidden where ``guest`` is none, or ``username`` not theirs; M_USER_LOCKED (401)."""
        guest.refuse_locked()
        if not guest.is_guest or username != identifiers.localpart_of(guest.user_id):
            raise Forbidden("That is not a guest's access token and username")

    async def upgrade_guest(
        self, guest: Requester, password: str | None, choice: DeviceChoice | None, proof: Proof
    ) -> tuple[UserId, NewSession | None]:
        """Make the account of ``guest`` a user's (spec: "Guest Access"); returns as ``register`` does.

        Raises Forbidden, M_WEAK_PASSWORD, M_THREEPID_IN_USE (400).
        """
        hash_ = None if password is None else await self._passwords.hash_new(password)
        session = None if choice is None else self._logins.new_session(guest.user_id, choice)

        async def unit(tx: WriteTransaction) -> bool:
            if not await storage.upgrade_guest(tx, guest.user_id, hash_):
                return False
            await self._take(tx, guest.user_id, proof, session)
            if session is not None and choice is not None:
                await self._logins.store(tx, session, choice)
            return True

        if not await self._db.write(unit):
            raise Forbidden("The account is a guest's no longer")
        return guest.user_id, session

    async def register_guest(self, display_name: str | None) -> NewSession:
        """A guest account with a session; raises Forbidden where the server has none."""
        if not self._config.registration.guests:
            raise Forbidden("This server has no guest accounts", errcode="M_GUEST_ACCESS_FORBIDDEN")
        localpart = str(10**11 + secrets.randbelow(9 * 10**11))
        user_id = identifiers.make_user_id(localpart, self._config.server_name)
        account = Account(user_id=user_id, is_guest=True, created_ts=self._clock.now_ms())
        _, session = await self._create(account, DeviceChoice(display_name=display_name))
        assert session is not None
        return session

    def nonce(self) -> str:
        """A nonce for shared-secret registration; raises NotFound where that is off."""
        if not self._config.registration.shared_secret:
            raise NotFound("Shared-secret registration is off", errcode="M_UNRECOGNIZED")
        issued = f"{self._clock.now_ms()}.{secrets.token_urlsafe(12)}"
        return f"{issued}.{self._mac(issued)}"

    async def register_by_shared_secret(
        self,
        *,
        nonce: str,
        username: str,
        password: str,
        admin: bool,
        mac: str,
        user_type: str | None,
        displayname: str | None = None,
    ) -> NewSession:
        """An account for who knows ``registration.shared_secret``.

        ``mac`` is the hexadecimal HMAC-SHA1, under the secret, of nonce, username, password and
        ``admin`` or ``notadmin``, and the user type where there is one, with NUL between them. A nonce
        works once, within NONCE_MS. Raises Forbidden for a wrong MAC, BadRequest for a nonce not good, and
        InvalidParam.
        """
        secret = self._config.registration.shared_secret
        if not secret:
            raise NotFound("Shared-secret registration is off", errcode="M_UNRECOGNIZED")
        expires_ts = self._nonce_expiry(nonce)
        parts = [nonce, username, password, "admin" if admin else "notadmin"]
        if user_type is not None:
            parts.append(user_type)
        expected = hmac.new(secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()
        if not hmac.compare_digest(expected.encode(), mac.lower().encode()):
            raise Forbidden("The MAC is wrong")
        check_user_type(user_type)
        if displayname:
            check_value("displayname", displayname)
        now = self._clock.now_ms()
        if not await self._db.write(
            lambda tx: storage.spend_nonce(tx, nonce, expires_ts=expires_ts, now_ms=now)
        ):
            raise BadRequest("The nonce has been used")
        user_id, session = await self.register(
            username, password, DeviceChoice(), admin=admin, user_type=user_type
        )
        assert session is not None
        if displayname:
            await self._profiles.set_field(user_id, "displayname", displayname)
        return session

    def _nonce_expiry(self, nonce: str) -> int:
        """When a nonce expires; raises BadRequest for one that has, or that this server did not issue."""
        issued, _, mac = nonce.rpartition(".")
        if not hmac.compare_digest(mac.encode(), self._mac(issued).encode()):
            raise BadRequest("The nonce is not known")
        expires_ts = int(issued.partition(".")[0]) + NONCE_MS
        if expires_ts <= self._clock.now_ms():
            raise BadRequest("The nonce has expired")
        return expires_ts

    def _mac(self, issued: str) -> str:
        key = hashlib.blake2b(self._secret, person=b"palpo-nonce").digest()
        return hmac.new(key, issued.encode(), hashlib.sha256).hexdigest()[:32]

    def _made_up(self) -> UserId:
        localpart = "".join(secrets.choice(LOCALPART_LETTERS) for _ in range(12))
        return self.user_id(localpart)

    async def _take(
        self, tx: WriteTransaction, user_id: UserId, proof: Proof, session: NewSession | None
    ) -> None:
        """Count the registration token, give the account its address, and note what the proof was for.

        Raises UniqueViolation where that has been noted already.
        """
        if proof.request:
            result = self._interactive_auth.spent(proof.uia_session, proof.request)
            device_id = None if session is None else session.device_id
            await self._interactive_auth.keep_within(
                tx, replace(result, user_id=user_id, device_id=device_id)
            )
        await self._tokens.complete(tx, proof.uia_session)
        if proof.address is not None:
            await self._threepids.add_within(tx, user_id, proof.address)

    async def _create(
        self, account: Account, choice: DeviceChoice | None, proof: Proof | None = None
    ) -> tuple[UserId, NewSession | None]:
        session = None if choice is None else self._logins.new_session(account.user_id, choice)

        async def unit(tx: WriteTransaction) -> bool:
            if await storage.find(tx, account.user_id) is not None:
                return False
            await storage.insert(tx, account)
            if proof is not None:
                await self._take(tx, account.user_id, proof, session)
            if session is not None and choice is not None:
                await self._logins.store(tx, session, choice)
            return True

        try:
            created = await self._db.write(unit)
        except UniqueViolation:
            created = False
        if not created:
            # The same request may have been sent twice at once.
            made = None
            if proof is not None and proof.request:
                made = await self.repeated(proof.uia_session, proof.request, choice)
            if made is None:
                raise _in_use()
            return made
        if not account.is_guest:
            # Clients have come to expect that a new user is called something.
            name = identifiers.localpart_of(account.user_id)
            await self._profiles.set_field(account.user_id, "displayname", name)
        return account.user_id, session


def check_user_type(user_type: str | None) -> None:
    """Raises InvalidParam for a type of user that there is not."""
    if user_type not in USER_TYPES:
        raise InvalidParam(f"user_type is one of {', '.join(filter(None, USER_TYPES))}, or null")


def _invalid_username(message: str) -> BadRequest:
    return BadRequest(message, errcode="M_INVALID_USERNAME")


def _in_use() -> BadRequest:
    return BadRequest("The user ID is taken", errcode="M_USER_IN_USE")
