"""The accounts of those who sign on elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from palpo.config.sections.sign_on import Mapped, Provider
from palpo.core.errors import BadRequest, Forbidden, InvalidParam, MatrixError
from palpo.core.identifiers import UserId
from palpo.core.records.accounts import Account
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.registration import Registration
from palpo.services.accounts.threepids import canonical_email
from palpo.services.server import Server
from palpo.services.sign_on.identities import Identity, Person
from palpo.services.sign_on.pictures import Pictures
from palpo.storage import accounts, external_ids, threepids
from palpo.storage.threepids import ThirdPartyId

Charge = Callable[[], None]
"""Takes an account that is made from the caller's budget; raises LimitExceeded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A new user has to say what they want to be called."""

    suggested: str
    """What the template made; empty: nothing, and it may be taken."""
    taken: bool


class LinkedAccounts:
    """Finds accounts by who their users are elsewhere, and makes them."""

    def __init__(
        self, server: Server, registration: Registration, profiles: Profiles, pictures: Pictures
    ) -> None:
        self._db = server.db
        self._clock = server.clock
        self._config = server.config
        self._update_profile = server.config.sso.update_profile
        self._background = server.background
        self._registration = registration
        self._profiles = profiles
        self._pictures = pictures

    async def find(self, provider: str, external_id: str) -> Account | None:
        """The account that is linked; raises M_USER_DEACTIVATED (403) and M_USER_LOCKED (401)."""

        async def unit(tx: Transaction) -> Account | None:
            user_id = await external_ids.find(tx, provider, external_id)
            return None if user_id is None else await accounts.find(tx, user_id)

        return usable(await self._db.read(unit))

    async def settle(
        self, identity: Identity, person: Person, config: Mapped, charge: Charge
    ) -> Account | Choice:
        """The account of who signed on: found, linked or made; or what they are to be asked first.

        Raises Forbidden for who has none and may have none, and as ``find`` does.
        """
        found = await self.find(identity.provider, identity.external_id)
        if found is not None:
            if self._update_profile:
                await self._show(found.user_id, person)
            return found
        if not person.localpart:
            return self._ask(config, "", taken=False)
        try:
            user_id = self._registration.user_id(person.localpart)
        except MatrixError:
            return self._ask(config, person.localpart, taken=False)
        existing = await self._db.read(lambda tx: accounts.find(tx, user_id))
        if existing is None and not config.confirm_localpart and not self._asks_for_terms(config):
            charge()
            return await self.make(identity, person, person.localpart, config)
        if existing is not None and config.allow_existing_users and existing.appservice_id is None:
            return await self._link(identity, existing)
        return self._ask(config, person.localpart, taken=existing is not None)

    async def make(self, identity: Identity, person: Person, localpart: str, config: Mapped) -> Account:
        """A new account that is linked; raises M_USER_IN_USE, M_INVALID_USERNAME (400), and Forbidden."""
        if not config.registration:
            raise _no_account()
        user_id = await self._registration.check_available(localpart)
        address = await self._free_address(person)
        now = self._clock.now_ms()

        async def with_it(tx: WriteTransaction) -> None:
            await external_ids.add(tx, identity.provider, identity.external_id, user_id)
            if address:
                new = ThirdPartyId(
                    user_id=user_id, medium="email", address=address, validated_ts=now, added_ts=now
                )
                await threepids.add(tx, new)

        try:
            await self._registration.register_linked(user_id, with_it)
        except UniqueViolation:
            # The same person signed on twice at once.
            found = await self.find(identity.provider, identity.external_id)
            if found is None:
                raise BadRequest("The user ID is taken", errcode="M_USER_IN_USE") from None
            return found
        await self._show(user_id, person)
        account = await self._db.read(lambda tx: accounts.find(tx, user_id))
        assert account is not None
        return account

    def _asks_for_terms(self, config: Mapped) -> bool:
        """Whether new users accept documents first, which is asked on a page: a directory has none."""
        return isinstance(config, Provider) and bool(self._config.registration.terms)

    def _ask(self, config: Mapped, suggested: str, *, taken: bool) -> Choice:
        if not config.registration:
            raise _no_account()
        return Choice(suggested=suggested, taken=taken)

    async def _link(self, identity: Identity, account: Account) -> Account:
        """Link an account that has no link to the provider yet; raises Forbidden for one that has."""
        usable(account)

        async def unit(tx: WriteTransaction) -> bool:
            linked = await external_ids.of_user(tx, account.user_id)
            if any(item.auth_provider == identity.provider for item in linked):
                return False
            await external_ids.add(tx, identity.provider, identity.external_id, account.user_id)
            return True

        if not await self._db.write(unit):
            raise Forbidden("The account is somebody else's there")
        return account

    async def _free_address(self, person: Person) -> str:
        """The person's email address, unless it is none, or an account has it."""
        try:
            address = canonical_email(person.email) if person.email else ""
        except InvalidParam:
            return ""
        owner = await self._db.read(lambda tx: threepids.owner(tx, "email", address)) if address else None
        return "" if owner is not None else address

    async def _show(self, user_id: UserId, person: Person) -> None:
        """Take over the display name, and the picture when it has been fetched."""
        if person.display_name:
            await self._profiles.set_field(user_id, "displayname", person.display_name)
        if person.picture:
            self._background.start(f"picture-{user_id}", self._pictures.take_over(user_id, person.picture))


def usable(account: Account | None) -> Account | None:
    """The account; raises M_USER_DEACTIVATED (403) and M_USER_LOCKED (401)."""
    if account is not None:
        if account.deactivated:
            raise Forbidden("This account has been deactivated", errcode="M_USER_DEACTIVATED")
        account.refuse_locked()
    return account


def _no_account() -> Forbidden:
    return Forbidden("You have no account here")
