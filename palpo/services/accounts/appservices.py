"""The application services of this server: who they may act as, and what is theirs alone.

Spec: application service API, "Identity assertion", "Server admin style permissions".
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from palpo.config.appservices import Registration
from palpo.core.errors import BadRequest, Forbidden
from palpo.core.identifiers import RoomAlias, UserId
from palpo.core.records.accounts import Account
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.logins import deactivated
from palpo.services.accounts.sessions import Requester, override_of
from palpo.storage import accounts, devices, rate_limits
from palpo.storage.rate_limits import Override
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

Id = TypeVar("Id", UserId, RoomAlias)
Offer = Callable[[Id], Awaitable[bool]]
"""``async def offer(identifier)``: whether an application service has just made what was unknown."""


async def offered(identifier: Id, offers: Iterable[Offer[Id]]) -> bool:
    """Whether one of ``offers`` has just made what was unknown."""
    for offer in offers:
        if await offer(identifier):
            return True
    return False


class AppServices:
    """Knows the registrations, and turns their tokens into requesters."""

    def __init__(
        self,
        registrations: Sequence[Registration],
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        caches: CacheBudget,
        *,
        admins: Collection[str] = (),
    ) -> None:
        self.registrations = tuple(registrations)
        self._db = db
        self._clock = clock
        self._admins = frozenset(admins)
        self._by_id = {item.id: item for item in registrations}
        self._by_token = {item.as_token: item for item in registrations}
        self._cache: Cache[tuple[str, str, str | None], Requester] = caches.cache(
            "appservice_requesters", group=lambda key, requester: requester.user_id
        )
        """By application service, user and device."""
        wakeups.listen(topics.SESSION, self._cache.forget)

    def by_token(self, token: str) -> Registration | None:
        """Whose ``as_token`` it is."""
        return self._by_token.get(token)

    def by_id(self, appservice_id: str | None) -> Registration | None:
        """The registration of an application service."""
        return None if appservice_id is None else self._by_id.get(appservice_id)

    async def act_as(
        self, registration: Registration, user_id: str | None, device_id: str | None
    ) -> Requester:
        """The requester that an application service says it is; its sender where it says nothing.

        Raises Forbidden for a user that is not its own or does not exist, and M_UNKNOWN_DEVICE (400).
        """
        user_id = registration.sender if user_id is None else user_id
        key = (registration.id, user_id, device_id)
        return await self._cache.get_or_read(key, partial(self._load, registration, user_id, device_id))

    async def _load(self, registration: Registration, user_id: str, device_id: str | None) -> Requester:
        if not registration.has_user(user_id):
            raise Forbidden("The application service cannot act as this user")

        async def unit(tx: Transaction) -> tuple[Account | None, bool, Override | None]:
            account = await accounts.find(tx, user_id)
            known = device_id is None or await devices.find(tx, user_id, device_id) is not None
            return account, known, await rate_limits.find(tx, user_id)

        account, device_known, override = await self._db.read(unit)
        if account is None:
            raise Forbidden("The application service has not registered this user")
        if account.deactivated:
            raise deactivated()
        if not device_known:
            raise BadRequest("The user has no such device", errcode="M_UNKNOWN_DEVICE")
        limits: dict[str, Any] = {
            "rate_limited": registration.rate_limited and user_id != registration.sender
        }
        if limits["rate_limited"] and override is not None:
            limits |= override_of(override.per_second, override.burst)
        return Requester(
            **limits,
            **{**account.flags(), "is_admin": account.is_admin or user_id in self._admins, "is_guest": False},
            user_id=UserId(user_id),
            device_id=device_id,
            appservice_id=registration.id,
        )

    def check_user(self, user_id: UserId, appservice_id: str | None) -> None:
        """Whether somebody may make the user ``user_id``: an application service, or (None) anybody else.

        Raises M_EXCLUSIVE (400).
        """
        own = self.by_id(appservice_id)
        if own is not None and not own.has_user(user_id):
            raise _exclusive("The user ID is not in the application service's namespaces")
        if any(item.owns_user(user_id) for item in self.registrations if item is not own):
            raise _exclusive("The user ID is reserved by an application service")

    def check_alias(self, alias: RoomAlias, user_id: UserId, appservice_id: str | None) -> None:
        """As ``check_user``, for who makes or deletes a room alias.

        A user of the application service's own may, with an access token of theirs too.
        """
        own = self.by_id(appservice_id)
        if own is not None and not own.has_alias(alias):
            raise _exclusive("The alias is not in the application service's namespaces")
        for item in self.registrations:
            if item is not own and item.owns_alias(alias) and not item.owns_user(user_id):
                raise _exclusive("The alias is reserved by an application service")

    async def ensure_senders(self) -> None:
        """Make the accounts of the application services' own users, where they are not there yet."""
        for registration in self.registrations:
            account = Account(
                user_id=UserId(registration.sender),
                appservice_id=registration.id,
                created_ts=self._clock.now_ms(),
            )
            try:
                await self._db.write(partial(_ensure, account=account))
            except UniqueViolation:
                continue  # Another process starts at the same time.


async def _ensure(tx: WriteTransaction, account: Account) -> None:
    if await accounts.find(tx, account.user_id) is None:
        await accounts.insert(tx, account)


def _exclusive(message: str) -> BadRequest:
    return BadRequest(message, errcode="M_EXCLUSIVE")
