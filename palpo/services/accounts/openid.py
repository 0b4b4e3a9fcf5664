"""Tokens by which a user proves to others who they are (spec: client-server API, "OpenID")."""

from __future__ import annotations

import secrets

from palpo.core.errors import UnknownToken
from palpo.core.identifiers import UserId
from palpo.db.engine import Database
from palpo.storage import openid as storage
from palpo.streams.clock import Clock

LIFETIME_SECONDS = 3600


class OpenId:
    """Gives OpenID tokens out, and says whose they are."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def token(self, user_id: UserId) -> str:
        """A new token, good for LIFETIME_SECONDS."""
        token = secrets.token_urlsafe(32)
        now = self._clock.now_ms()
        expires_ts = now + LIFETIME_SECONDS * 1000
        await self._db.write(lambda tx: storage.insert(tx, token, user_id, expires_ts=expires_ts, now_ms=now))
        return token

    async def user_of(self, token: str) -> str:
        """Whose token it is; raises UnknownToken."""
        now = self._clock.now_ms()
        user_id = await self._db.read(lambda tx: storage.find(tx, token, now_ms=now))
        if user_id is None:
            raise UnknownToken("The token is not known, or has expired")
        return user_id
