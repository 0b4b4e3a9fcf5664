"""What sign-ons elsewhere became here, so that it ends when they end."""

from __future__ import annotations

import structlog

from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.sign_on.identities import Upstream
from palpo.storage import browser_sessions
from palpo.storage import upstream_sessions as storage
from palpo.storage.sessions import token_hash
from palpo.storage.upstream_sessions import UpstreamSession
from palpo.streams.clock import Clock

log = structlog.get_logger("palpo.sign_on")

KEPT_MS = 10 * 60_000
"""How long a login token's row is kept at least: longer than the token is good for."""


class UpstreamSessions:
    """Remembers sign-ons, and ends what came of them."""

    def __init__(self, db: Database, clock: Clock, removal: DeviceRemoval) -> None:
        self._db = db
        self._clock = clock
        self._removal = removal

    async def remember(
        self, token: str, user_id: UserId, upstream: Upstream, *, lifetime_ms: int = KEPT_MS
    ) -> None:
        """Note that a login token is given out for a sign-on, or a browser's, which lives longer."""
        now = self._clock.now_ms()
        session = UpstreamSession(
            token_hash=token_hash(token),
            auth_provider=upstream.provider,
            subject=upstream.subject,
            upstream_id=upstream.session or None,
            user_id=user_id,
            expires_ts=now + lifetime_ms,
        )

        async def unit(tx: WriteTransaction) -> None:
            await storage.prune(tx, now_ms=now)
            await storage.insert(tx, session)

        await self._db.write(unit)

    async def claim(self, token: str, user_id: UserId, device_id: str) -> None:
        """Note which device has logged in by a login token, where it is one of a sign-on."""
        await self._db.write(lambda tx: storage.claim(tx, token_hash(token), user_id, device_id))

    async def end(self, provider: str, subject: str, upstream_id: str) -> int:
        """Log out the devices and browsers of somebody's sign-ons, or of one session there.

        Returns how many sign-ons ended.
        """

        async def unit(tx: WriteTransaction) -> int:
            found = await storage.of_subject(tx, provider, subject)
            ended = [item for item in found if not upstream_id or item.upstream_id in (upstream_id, None)]
            for session in ended:
                if session.device_id is not None:
                    await self._removal.remove(tx, session.user_id, [session.device_id])
                await browser_sessions.delete_token(tx, session.token_hash)
                await storage.end(tx, session)
            return len(ended)

        ended = await self._db.write(unit)
        log.info("logged_out_elsewhere", provider=provider, sessions=ended)
        return ended
