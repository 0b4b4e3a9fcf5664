"""Whether the sessions at providers go on: they are asked with the refresh tokens that they have given."""

from __future__ import annotations

import structlog

from palpo.core.errors import NotFound, Unavailable
from palpo.db.engine import Database
from palpo.services.sign_on.oidc.provider import OidcProvider
from palpo.services.sign_on.providers import Providers
from palpo.services.sign_on.upstream_sessions import UpstreamSessions
from palpo.storage import upstream_sessions as storage
from palpo.storage.upstream_sessions import UpstreamSession
from palpo.streams.clock import Clock

log = structlog.get_logger("palpo.sign_on")

BATCH = 100


class Renewals:
    """Asks, and logs out whoever a provider lets in no more."""

    def __init__(self, db: Database, clock: Clock, providers: Providers, sessions: UpstreamSessions) -> None:
        self._db = db
        self._clock = clock
        self._providers = providers
        self._sessions = sessions

    @property
    def wanted(self) -> bool:
        """Whether any provider is to be asked."""
        return any(isinstance(item, OidcProvider) and item.oidc.refresh_minutes for item in self._providers)

    async def renew_due(self) -> int:
        """Ask about those that are due, each once; how many."""
        asked = 0
        now = self._clock.now_ms()
        while found := await self._db.read(lambda tx: storage.due(tx, now_ms=now, limit=BATCH)):
            for session in found:
                await self._renew(session)
            asked += len(found)
        return asked

    async def _renew(self, session: UpstreamSession) -> None:
        """Ask about one, which is due again after a while whatever comes of it, unless it is over."""
        provider = self._provider(session)
        token = self._sessions.refresh_token(session)
        if provider is None or not token:
            await self._sessions.ask_no_more(session)
            return
        try:
            new = await provider.renewed(token)
        except Unavailable as error:
            # It has trouble of its own, which says nothing of the user.
            log.warning("provider_not_asked", provider=provider.id, error=error.message)
            new = token
        if new is None:
            await self._sessions.end_one(session)
        else:
            await self._sessions.ask_later(session, new, provider.oidc.refresh_minutes * 60_000)

    def _provider(self, session: UpstreamSession) -> OidcProvider | None:
        try:
            found = self._providers.get(session.auth_provider)
        except NotFound:
            return None
        return found if isinstance(found, OidcProvider) and found.oidc.refresh_minutes else None
