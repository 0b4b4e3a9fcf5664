"""Tokens that let people register (spec: client-server API, "Token-authenticated registration").

A token may be good for so many accounts, and until some time. A registration that has shown its token holds
one use for as long as its session of user-interactive auth can live, so that no token makes too many.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass

from palpo.core.bounds import TOP
from palpo.core.errors import BadRequest, Forbidden, InvalidParam, NotFound
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.storage import registration_tokens as storage
from palpo.storage.registration_tokens import RegistrationToken
from palpo.streams.clock import Clock
from palpo.streams.made_up import made_up

MAX_TOKEN = 64
"""Characters."""
HOLD_MS = 20 * 60_000
"""Longer than a session of user-interactive auth lives."""
MAX_USES = 2**31
LENGTH = 16
"""Characters of a token that is made up."""

_TOKEN = re.compile(r"[A-Za-z0-9._~-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenInUse:
    """A token, and how many registrations hold a use of it."""

    token: RegistrationToken
    pending: int

    def usable(self, now_ms: int) -> bool:
        """Whether one more account can be made with it."""
        allowed, expires = self.token.uses_allowed, self.token.expires_ts
        if expires is not None and expires <= now_ms:
            return False
        return allowed is None or self.token.completed + self.pending < allowed


class RegistrationTokens:
    """Makes tokens, and lets them be used."""

    def __init__(self, db: Database, clock: Clock, *, permanent: Callable[[], str]) -> None:
        """``permanent`` gives a token that always works; empty: none."""
        self._db = db
        self._clock = clock
        self._permanent = permanent

    async def offered(self) -> bool:
        """Whether anybody can have a token."""
        return bool(self._permanent()) or await self._db.read(storage.any_token)

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
        self,
        token: str | None = None,
        *,
        uses_allowed: int | None = None,
        valid_ms: int | None = None,
        expires_ts: int | None = None,
        length: int = LENGTH,
    ) -> RegistrationToken:
        """A new token, made up of ``length`` characters unless it is given.

        It is good for ``valid_ms``, or until ``expires_ts`` (milliseconds since the Unix epoch).
        Raises InvalidParam, BadRequest for one that is there.
        """
        token = made_up(length) if token is None else token
        if _TOKEN.fullmatch(token) is None:
            raise InvalidParam(f"A token has at most {MAX_TOKEN} characters of A-Z, a-z, 0-9 and ._~-")
        if uses_allowed is not None and not 0 <= uses_allowed <= MAX_USES:
            raise InvalidParam(f"A token is good for 0 to {MAX_USES} accounts")
        now = self._clock.now_ms()
        if valid_ms is not None:
            expires_ts = now + valid_ms
        if expires_ts is not None and expires_ts <= now:
            raise InvalidParam("A token expires in the future")
        new = RegistrationToken(
            token=token,
            uses_allowed=uses_allowed,
            expires_ts=expires_ts,
            created_ts=now,
        )
        if not await self._db.write(lambda tx: storage.insert(tx, new)):
            raise BadRequest("There is a token of that name")
        return new

    async def all(self) -> list[RegistrationToken]:
        """Every token, oldest first."""
        return await self._db.read(storage.find_all)

    async def in_use(self, *, usable: bool | None = None) -> list[TokenInUse]:
        """Every token, oldest first: those that may be used, those that may not, or with None all."""
        now = self._clock.now_ms()

        async def unit(tx: Transaction) -> list[TokenInUse]:
            held = await storage.all_pending(tx)
            tokens = await storage.find_all(tx)
            return [TokenInUse(token=token, pending=held.get(token.token, 0)) for token in tokens]

        found = await self._db.read(unit)
        return [item for item in found if usable is None or item.usable(now) == usable]

    async def page(self, *, search: str = "", skipped: int, limit: int) -> tuple[int, list[TokenInUse]]:
        """How many tokens have ``search`` in them, and some of these, the newest first."""

        async def unit(tx: Transaction) -> tuple[int, list[TokenInUse]]:
            tokens = await storage.page(tx, search, skipped=skipped, limit=limit)
            held = await storage.pending_of(tx, [item.token for item in tokens])
            found = [TokenInUse(token=item, pending=held.get(item.token, 0)) for item in tokens]
            return await storage.total(tx, search), found

        return await self._db.read(unit)

    async def find(self, token: str) -> TokenInUse:
        """One token; raises NotFound."""

        async def unit(tx: Transaction) -> TokenInUse | None:
            there = await storage.find(tx, token)
            if there is None:
                return None
            return TokenInUse(token=there, pending=await storage.pending(tx, token))

        found = await self._db.read(unit) if _TOKEN.fullmatch(token) else None
        if found is None:
            raise _unknown()
        return found

    async def edit(self, token: str, **changes: int | None) -> TokenInUse:
        """Change ``uses_allowed`` and ``expires_ts`` of a token; raises NotFound, InvalidParam."""
        if (changes.get("expires_ts") or TOP) <= self._clock.now_ms():
            raise InvalidParam("A token expires in the future")

        async def unit(tx: WriteTransaction) -> bool:
            found = await storage.find(tx, token)
            if found is None:
                return False
            kept = {"uses_allowed": found.uses_allowed, "expires_ts": found.expires_ts, **changes}
            await storage.edit(tx, token, uses_allowed=kept["uses_allowed"], expires_ts=kept["expires_ts"])
            return True

        if _TOKEN.fullmatch(token) is None or not await self._db.write(unit):
            raise _unknown()
        return await self.find(token)

    async def revoke(self, token: str) -> None:
        """Delete a token; raises NotFound."""
        if _TOKEN.fullmatch(token) is None or not await self._db.write(lambda tx: storage.remove(tx, token)):
            raise _unknown()

    def _is_permanent(self, token: str) -> bool:
        expected = self._permanent()
        return bool(expected) and hmac.compare_digest(token.encode("utf-8", "replace"), expected.encode())


def _unknown() -> NotFound:
    return NotFound("There is no such token")


async def _usable(tx: Transaction, token: str, now: int, uia_session: str = "") -> bool:
    found = await storage.find(tx, token)
    if found is None or (found.expires_ts is not None and found.expires_ts <= now):
        return False
    if found.uses_allowed is None:
        return True
    pending = await storage.pending(tx, token, except_session=uia_session)
    return found.completed + pending < found.uses_allowed
