"""Users of this server: all of them, some, or all that is known of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from palpo.core.errors import InvalidParam, NotFound
from palpo.core.identifiers import UserId, server_name_of
from palpo.core.records.accounts import Account
from palpo.db.transaction import Transaction
from palpo.services.accounts.profiles import Profile
from palpo.services.accounts.threepids import canonical_threepid
from palpo.services.server import Server
from palpo.storage import accounts, external_ids, profiles, threepids
from palpo.storage import user_lists as storage
from palpo.storage.external_ids import ExternalId
from palpo.storage.threepids import ThirdPartyId
from palpo.storage.user_lists import ListedUser, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownUser:
    """A user in a list; ``is_admin`` where the configuration says so too."""

    user: ListedUser
    profile: Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeUser:
    """What is known of one user."""

    account: Account
    """``is_admin`` where the configuration says so too."""
    last_seen_ts: int | None
    profile: Profile
    threepids: Sequence[ThirdPartyId]
    external_ids: Sequence[ExternalId]


class UserLists:
    """Finds users for administrators."""

    def __init__(self, server: Server) -> None:
        self._db = server.db
        self._server_name = server.name
        self._admins = tuple(server.config.admins)

    async def page(
        self,
        *,
        order: str = "name",
        backwards: bool = False,
        skipped: int = 0,
        limit: int = 100,
        **wanted: Any,
    ) -> tuple[int, list[ShownUser]]:
        """How many there are, and some of them; raises InvalidParam for an order that there is not.

        ``wanted`` are the fields of ``storage.user_lists.Wanted``: which users.
        """
        if order not in storage.ORDERS:
            raise InvalidParam(f"order_by is one of {', '.join(storage.ORDERS)}")
        these = Wanted(**wanted, admins=self._admins, server=self._server_name)

        async def unit(tx: Transaction) -> tuple[int, list[ListedUser], dict[str, bytes]]:
            found = await storage.page(
                tx, these, order=order, backwards=backwards, skipped=skipped, limit=limit
            )
            fields = await profiles.get_many(tx, [item.user_id for item in found])
            if len(found) < limit and (found or not skipped):
                return skipped + len(found), found, fields
            return await storage.total(tx, these), found, fields

        total, found, fields = await self._db.read(unit)
        return total, [
            ShownUser(
                user=replace(item, is_admin=item.is_admin or item.user_id in self._admins),
                profile=Profile.of(item.user_id, fields.get(item.user_id)),
            )
            for item in found
        ]

    async def whole(self, user_id: UserId) -> WholeUser:
        """All of one user; raises InvalidParam for another server's, and NotFound."""
        self.check_local(user_id)

        async def unit(tx: Transaction) -> WholeUser | None:
            account = await accounts.find(tx, user_id)
            if account is None:
                return None
            return WholeUser(
                account=replace(account, is_admin=account.is_admin or user_id in self._admins),
                last_seen_ts=await storage.last_seen(tx, user_id) or None,
                profile=Profile.of(user_id, await profiles.get(tx, user_id)),
                threepids=await threepids.of_user(tx, user_id),
                external_ids=await external_ids.of_user(tx, user_id),
            )

        found = await self._db.read(unit)
        if found is None:
            raise unknown_user()
        return found

    async def account(self, user_id: UserId) -> Account:
        """A user's account; raises InvalidParam for another server's, and NotFound."""
        self.check_local(user_id)
        found = await self._db.read(lambda tx: accounts.find(tx, user_id))
        if found is None:
            raise unknown_user()
        return replace(found, is_admin=found.is_admin or user_id in self._admins)

    async def by_external_id(self, provider: str, external_id: str) -> UserId:
        """Whom a provider calls so; raises NotFound."""
        found = await self._db.read(lambda tx: external_ids.find(tx, provider, external_id))
        if found is None:
            raise unknown_user()
        return found

    async def by_threepid(self, medium: str, address: str) -> UserId:
        """Whose address or telephone number it is; raises NotFound, also for what cannot be one."""
        try:
            medium, address = canonical_threepid(medium, address)
        except InvalidParam:
            raise unknown_user() from None
        found = await self._db.read(lambda tx: threepids.owner(tx, medium, address))
        if found is None:
            raise unknown_user()
        return found

    def check_local(self, user_id: UserId) -> None:
        """Raises InvalidParam for another server's user."""
        if server_name_of(user_id) != self._server_name:
            raise InvalidParam("The user is not of this server")


def unknown_user() -> NotFound:
    """There is no such account."""
    return NotFound("User not found")
