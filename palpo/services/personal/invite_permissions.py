"""Whose invites a local user wants (spec: client-server API, "Invite permission"; MSC4155)."""

from __future__ import annotations

from typing import Any

from palpo.core.canonical_json import decode_object
from palpo.core.errors import Forbidden
from palpo.core.invite_permission import InvitePermission, permission
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.storage import account_data as storage

CONFIG = "m.invite_permission_config"
LISTS = "org.matrix.msc4155.invite_permission_config"


class InvitePermissions:
    """Asks the account data of those who are invited."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, user_id: str, inviter: str) -> InvitePermission:
        """What becomes of an invite of the local user ``user_id`` by ``inviter``."""

        async def read(tx: Transaction) -> tuple[bytes | None, bytes | None]:
            config = await storage.get(tx, user_id, None, CONFIG)
            return config, await storage.get(tx, user_id, None, LISTS)

        config, lists = await self._db.read(read)
        if config is None and lists is None:
            return InvitePermission.ALLOW
        return permission(_object(config), _object(lists), inviter)

    async def shows(self, user_id: str, inviter: str) -> bool:
        """Whether the user is told of invites by ``inviter``, in syncs and by notifications."""
        return await self.of(user_id, inviter) is InvitePermission.ALLOW

    async def check(self, user_id: str, inviter: str) -> None:
        """Raises M_INVITE_BLOCKED (403) where the invite is refused."""
        if await self.of(user_id, inviter) is InvitePermission.BLOCK:
            raise Forbidden("The user does not want to be invited", errcode="M_INVITE_BLOCKED")


def _object(content: bytes | None) -> dict[str, Any]:
    return {} if content is None else decode_object(content)
