"""Tokens that let people register (spec: client-server API, "Token-authenticated registration").

A token may be good for so many accounts, and until some time. A registration that has shown its token holds
one use for as long as its session of user-interactive auth can live, so that no token makes too many.
"""

from __future__ import annotations

import hmac
import re
import secrets

from palpo.core.errors import BadRequest, Forbidden, InvalidParam, NotFound
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import registration_tokens as storage
from palpo.storage.registration_tokens import RegistrationToken
from palpo.streams.clock import Clock

MAX_TOKEN = 64
"""Characters."""
HOLD_MS = 20 * 60_000
"""Longer than a session of user-interactive auth lives."""
MAX_USES = 2**31

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,64}")


class RegistrationTokens:
    """Makes tokens, and lets them be used."""

    def __init__(self, db: Database, clock: Clock, *, permanent: str) -> None:
        """``permanent`` is a token that always works; empty: none."""
        self._db = db
        self._clock = clock
        self._permanent = permanent

    async def offered(self) -> bool:
        """Whether anybody can have a token."""
        return bool(self._permanent) or await self._db.read(storage.any_token)

    async def valid(self, token: str) -> bool:
        """Whether ``token`` may be used now."""
        if self._is_permanent(token):
            return True
        if _TOKEN.fullmatch(token) is None:
            return False
        now = self._clock.now_ms()
        return await self._db.read(lambda tx: _usable(tx, token, now))

    async def hold(self, token: str, uia_session: str) -> None:
        """Hold a use of a token for a registration; raises Forbidden."""
        if self._is_permanent(token):
            return
        now = self._clock.now_ms()

        async def unit(tx: WriteTransaction) -> bool:
            await storage.prune(tx, now - HOLD_MS)
            if not await _usable(tx, token, now, uia_session):
                return False
            await storage.hold(tx, token, uia_session, now)
            return True

        if _TOKEN.fullmatch(token) is None or not await self._db.write(unit):
            raise Forbidden("The registration token is not valid")

    async def complete(self, tx: WriteTransaction, uia_session: str) -> None:
        """Count the use that a registration holds, if it does, in the unit of work that makes its account."""
        await storage.complete(tx, uia_session)

    async def create(
        self, token: str | None = None, *, uses_allowed: int | None = None, valid_ms: int | None = None
    ) -> RegistrationToken:
        """A new token, made up unless it is given; raises InvalidParam, BadRequest for one that is there."""
        token = token or secrets.token_urlsafe(12)
        if _TOKEN.fullmatch(token) is None:
            raise InvalidParam(f"A token has at most {MAX_TOKEN} characters of A-Z, a-z, 0-9 and ._~-")
        if uses_allowed is not None and not 0 < uses_allowed <= MAX_USES:
            raise InvalidParam(f"A token is good for 1 to {MAX_USES} accounts")
        if valid_ms is not None and valid_ms <= 0:
            raise InvalidParam("A token expires in the future")
        now = self._clock.now_ms()
        new = RegistrationToken(
            token=token,
            uses_allowed=uses_allowed,
            expires_ts=None if valid_ms is None else now + valid_ms,
            created_ts=now,
        )
        if not await self._db.write(lambda tx: storage.insert(tx, new)):
            raise BadRequest("There is a token of that name")
        return new

    async def all(self) -> list[RegistrationToken]:
        """Every token, oldest first."""
        return await self._db.read(storage.find_all)

    async def revoke(self, token: str) -> None:
        """Delete a token; raises NotFound."""
        if _TOKEN.fullmatch(token) is None or not await self._db.write(lambda tx: storage.remove(tx, token)):
            raise NotFound("There is no such token")

    def _is_permanent(self, token: str) -> bool:
        expected = self._permanent
        return bool(expected) and hmac.compare_digest(token.encode("utf-8", "replace"), expected.encode())


async def _usable(tx: Transaction, token: str, now: int, uia_session: str = "") -> bool:
    found = await storage.find(tx, token)
    if found is None or (found.expires_ts is not None and found.expires_ts <= now):
        return False
    if found.uses_allowed is None:
        return True
    pending = await storage.pending(tx, token, except_session=uia_session)
    return found.completed + pending < found.uses_allowed
