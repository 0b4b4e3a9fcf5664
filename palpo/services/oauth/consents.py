"""What users have allowed, so that they are not asked for the same again."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.identifiers import UserId
from palpo.core.records.oauth import Client
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.oauth.authorization import AuthorizationRequest
from palpo.storage import accounts
from palpo.storage import oauth as storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """A client that a user has allowed; ``granted_ts`` is when last, in milliseconds."""

    client: Client
    granted_ts: int


class OAuthConsents:
    """Knows which clients a user has allowed."""

    def __init__(self, db: Database, removal: DeviceRemoval) -> None:
        self._db = db
        self._removal = removal

    async def covers(self, user_id: UserId, request: AuthorizationRequest) -> bool:
        """Whether a user need not be asked for what a client wants.

        Only where the answer goes to a web server of the client's own: whatever listens at a scheme or on the
        loopback interface may be another program, that says the same of itself (RFC 6749, 10.2). And not
        where a session that there is would be replaced.
        """
        if not request.target.redirect_uri.startswith("https://"):
            return False

        async def unit(tx: Transaction) -> bool:
            if await storage.consent(tx, user_id, request.client.client_id) is None:
                return False
            return request.device_id not in await accounts.device_ids(tx, user_id)

        return await self._db.read(unit)

    async def list(self, user_id: UserId) -> list[Allowed]:
        """The clients that a user has allowed, the newest first."""

        async def unit(tx: Transaction) -> list[Allowed]:
            found = []
            for item in await storage.consents_of(tx, user_id):
                client = await storage.client(tx, item.client_id)
                if client is not None:
                    found.append(Allowed(client=client, granted_ts=item.granted_ts))
            return found

        return await self._db.read(unit)

    async def revoke(self, user_id: UserId, client_id: str) -> None:
        """A user does not allow a client any more: its sessions end, and it has to ask again."""

        async def unit(tx: WriteTransaction) -> None:
            await storage.delete_consent(tx, user_id, client_id)
            grants = await storage.grants_of(tx, user_id)
            ended = [grant.device_id for grant in grants if grant.client_id == client_id]
            await self._removal.remove(tx, user_id, ended)

        await self._db.write(unit)
