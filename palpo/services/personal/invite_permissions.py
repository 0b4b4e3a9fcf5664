"""Whose invites a local user wants (spec: client-server API, "Invite permission"; MSC4155)."""

from __future__ import annotations

from palpo.core.canonical_json import decode_object
from palpo.core.errors import Forbidden
from palpo.core.invite_permission import InvitePermission, permission
from palpo.db.engine import Database
from palpo.services.personal.account_data import IGNORED_USERS, AccountData
from palpo.storage import account_data as storage

CONFIG = "m.invite_permission_config"
LISTS = "org.matrix.msc4155.invite_permission_config"
DECIDING = (CONFIG, LISTS, IGNORED_USERS)
"""The types that say whose invites a user is told of."""


class InvitePermissions:
    """Asks the account data of those who are invited."""

    def __init__(self, db: Database, account_data: AccountData) -> None:
        self._db = db
        self._account_data = account_data

    async def of(self, user_id: str, inviter: str) -> InvitePermission:
        """What becomes of an invite of the local user ``user_id`` by ``inviter``."""
        found = await self._db.read(lambda tx: storage.own(tx, user_id, (CONFIG, LISTS)))
        if not found:
            return InvitePermission.ALLOW
        config, lists = (decode_object(found.get(name, b"{}")) for name in (CONFIG, LISTS))
        return permission(config, lists, inviter)

    async def shows(self, user_id: str, inviter: str) -> bool:
        """Whether the user is told of invites by ``inviter``, in syncs and by notifications.

        They are not where they ignore the inviter, or do not want their invites.
        """
        if inviter in await self._account_data.ignored_users(user_id):
            return False
        return await self.of(user_id, inviter) is InvitePermission.ALLOW

    async def check(self, user_id: str, inviter: str) -> None:
        """Raises M_INVITE_BLOCKED (403) where the invite is refused."""
        if await self.of(user_id, inviter) is InvitePermission.BLOCK:
            raise Forbidden("The user does not want to be invited", errcode="M_INVITE_BLOCKED")
