"""How users can prove again that they are who they are, where there is more than a password."""

from __future__ import annotations

from palpo.config.model import Config
from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.accounts.user_interactive_auth import PASSWORD, SSO, Flow
from palpo.services.sign_on.providers import Providers
from palpo.storage import accounts, external_ids


class Proofs:
    """Knows the flows of user-interactive auth that a user can go through."""

    def __init__(self, config: Config, db: Database, providers: Providers) -> None:
        self._directories = {item.id for item in config.ldap}
        self._db = db
        self._providers = providers

    async def flows(self, user_id: UserId) -> list[Flow]:
        """By password, by signing on elsewhere, or either: whatever the user's account has."""
        if not self._providers:
            return [(PASSWORD,)]

        async def unit(tx: Transaction) -> tuple[bool, set[str]]:
            account = await accounts.find(tx, user_id)
            linked = await external_ids.of_user(tx, user_id)
            has_password = account is not None and account.password_hash is not None
            return has_password, {item.auth_provider for item in linked}

        has_password, linked = await self._db.read(unit)
        flows: list[Flow] = []
        if has_password or linked & self._directories:
            flows.append((PASSWORD,))
        if any(provider.id in linked for provider in self._providers):
            flows.append((SSO,))
        return flows or [(PASSWORD,)]
