"""What sign-ons elsewhere became here, so that it ends when they end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import structlog

from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.sign_on.flows import Seals
from palpo.services.sign_on.identities import Upstream
from palpo.storage import browser_sessions
from palpo.storage import upstream_sessions as storage
from palpo.storage.sessions import token_hash
from palpo.storage.upstream_sessions import UpstreamSession
from palpo.streams.clock import Clock

log = structlog.get_logger("palpo.sign_on")

Find = Callable[[Transaction], Awaitable[list[UpstreamSession]]]
KEPT_MS = 10 * 60_000
"""How long a login token's row is kept at least: longer than the token is good for."""


class RefreshToken(msgspec.Struct, frozen=True):
    """What a provider is asked with whether a session goes on."""

    token: str


class UpstreamSessions:
    """Remembers sign-ons, and ends what came of them."""

    def __init__(self, db: Database, clock: Clock, removal: DeviceRemoval, seals: Seals) -> None:
        self._db = db
        self._clock = clock
        self._removal = removal
        self._seals = seals

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
            refresh_token=self._sealed(upstream.refresh_token),
            ask_ts=now if upstream.refresh_token else None,
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

        async def of_subject(tx: Transaction) -> list[UpstreamSession]:
            found = await storage.of_subject(tx, provider, subject)
            return [item for item in found if not upstream_id or item.upstream_id in (upstream_id, None)]

        return await self._end(provider, of_subject)

    async def end_session(self, provider: str, upstream_id: str) -> int:
        """Log out what began with a session at a provider, whoever it is of; how many sign-ons ended."""
        return await self._end(provider, lambda tx: storage.of_session(tx, provider, upstream_id))

    async def end_one(self, session: UpstreamSession) -> None:
        """Log out what came of one sign-on."""

        async def only(tx: Transaction) -> list[UpstreamSession]:
            found = await storage.find(tx, session.token_hash)
            return [] if found is None else [found]

        await self._end(session.auth_provider, only)

    async def ask_later(self, session: UpstreamSession, refresh_token: str, after_ms: int) -> None:
        """Note with what the provider is asked next, and in how long."""
        sealed, due = self._sealed(refresh_token), self._clock.now_ms() + after_ms
        await self._db.write(lambda tx: storage.renew(tx, session.token_hash, sealed, due))

    async def ask_no_more(self, session: UpstreamSession) -> None:
        """Note that nobody can be asked about it."""
        await self._db.write(lambda tx: storage.renew(tx, session.token_hash, None, None))

    def refresh_token(self, session: UpstreamSession) -> str:
        """With what the provider is asked; empty where there is nothing."""
        opened = self._seals.open(session.refresh_token or "", RefreshToken)
        return "" if opened is None else opened.token

    def _sealed(self, refresh_token: str) -> str | None:
        return self._seals.seal(RefreshToken(token=refresh_token)) if refresh_token else None

    async def of_browser(self, token: str) -> UpstreamSession | None:
        """The sign-on by which a browser was signed in."""
        return await self._db.read(lambda tx: storage.find(tx, token_hash(token)))

    async def _end(self, provider: str, find: Find) -> int:
        async def unit(tx: WriteTransaction) -> int:
            ended = await find(tx)
            for session in ended:
                if session.device_id is not None:
                    await self._removal.remove(tx, session.user_id, [session.device_id])
                await browser_sessions.delete_token(tx, session.token_hash)
                await storage.end(tx, session)
            return len(ended)

        ended = await self._db.write(unit)
        log.info("logged_out_elsewhere", provider=provider, sessions=ended)
        return ended
