"""Browsers that users are signed in with: for this server's own pages, not for the Matrix API.

What the browser keeps in its cookie is the token; the database has its hash. Each sign-in makes a new one, so
whatever was planted in a browser before is worth nothing after. Sessions end with their time, with the
account or its lock, when the user is logged out everywhere, and when the password is changed and everybody is
logged out by that.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import replace

from palpo.core.errors import Forbidden
from palpo.core.identifiers import MAX_LENGTH, UserId
from palpo.core.records.browser_sessions import BrowserSession
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.logins import deactivated
from palpo.storage import accounts
from palpo.storage import browser_sessions as storage
from palpo.storage.sessions import token_hash
from palpo.streams.clock import Clock

MAX_TOKEN = 128
"""Characters of a token that is looked up at all."""
MAX_SESSIONS = 50
"""Browsers of one user: those that were not used for longest make room."""
MAX_USER_AGENT = 1024
USED_MS = 600_000
"""How often it is written down that a session is in use."""
RECENT_MS = 600_000
"""How long after signing in a user may do what must be sure to be theirs, such as ending the account."""


class BrowserSessions:
    """Begins, finds and ends them."""

    def __init__(self, db: Database, clock: Clock, *, lifetime_s: int, admins: Collection[str] = ()) -> None:
        """``admins`` are administrators whatever the database says."""
        self._db = db
        self._clock = clock
        self._lifetime_ms = lifetime_s * 1000
        self._admins = frozenset(admins)

    @property
    def lifetime_s(self) -> int:
        """How long a session lives."""
        return self._lifetime_ms // 1000

    async def begin(
        self, user_id: UserId, *, address: str, user_agent: str | None, instead_of: str | None = None
    ) -> str:
        """Sign a user in, who has proved to be that: the token for the browser's cookie.

        ``instead_of`` is the token that the browser had, whose session ends. Raises M_USER_LOCKED (401) for
        a locked account, M_USER_DEACTIVATED (403) for one that is gone, and Forbidden for a guest's.
        """
        token = secrets.token_urlsafe(32)
        now = self._clock.now_ms()
        new = BrowserSession(
            token_hash=token_hash(token),
            session_id=secrets.token_urlsafe(12),
            user_id=user_id,
            created_ts=now,
            last_used_ts=now,
            expires_ts=now + self._lifetime_ms,
            address=address[:MAX_LENGTH],
            user_agent=user_agent and user_agent[:MAX_USER_AGENT].replace("\0", ""),
        )

        async def unit(tx: WriteTransaction) -> None:
            account = await accounts.find(tx, user_id)
            if account is None or account.deactivated:
                raise deactivated()
            account.refuse_locked()
            if account.is_guest:
                raise Forbidden("Guests may not do this", errcode="M_GUEST_ACCESS_FORBIDDEN")
            if instead_of:
                await storage.delete_token(tx, token_hash(instead_of))
            await storage.insert(tx, new, most=MAX_SESSIONS)

        await self._db.write(unit)
        return token

    async def find(self, token: str) -> BrowserSession | None:
        """The session of a cookie's token; None where it is not good, or its user locked or gone."""
        if not 0 < len(token) <= MAX_TOKEN:
            return None
        hash_, now = token_hash(token), self._clock.now_ms()
        found = await self._db.read(lambda tx: storage.find(tx, hash_, now_ms=now))
        if found is None:
            return None
        if now - found.last_used_ts >= USED_MS:
            await self._db.write(lambda tx: storage.used(tx, hash_, now_ms=now))
        return replace(found, is_admin=found.is_admin or found.user_id in self._admins)

    def is_recent(self, session: BrowserSession) -> bool:
        """Whether the user signed in a short while ago."""
        return self._clock.now_ms() - session.created_ts < RECENT_MS

    async def list(self, user_id: UserId) -> list[BrowserSession]:
        """A user's sessions, the last used first."""
        now = self._clock.now_ms()
        return await self._db.read(lambda tx: storage.of_user(tx, user_id, now_ms=now))

    async def end(self, token: str) -> None:
        """Sign a browser out."""
        await self._db.write(lambda tx: storage.delete_token(tx, token_hash(token)))

    async def end_named(self, user_id: UserId, session_id: str) -> None:
        """Sign one of a user's browsers out, by the session's ID."""
        await self._db.write(lambda tx: storage.delete_named(tx, user_id, session_id))

    async def end_all(self, user_id: UserId) -> None:
        """Sign all browsers of a user out."""
        await self._db.write(lambda tx: storage.delete_user(tx, user_id))
