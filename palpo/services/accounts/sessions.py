"""Who sends a request: access tokens to requesters."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from palpo.config.sections.limits import RateLimit
from palpo.core.errors import UnknownToken
from palpo.core.identifiers import UserId
from palpo.core.records.accounts import Flags
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.storage import sessions as storage
from palpo.storage.sessions import Session
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

SLOWEST = 0.001
"""Calls a second of who may make some at once and no more in the long run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester(Flags):
    """The account, and the device, on whose behalf a request is carried out."""

    user_id: UserId
    device_id: str | None = None
    appservice_id: str | None = None
    rate_limited: bool = True
    rate_limit: RateLimit | None = None
    """What the user may do in place of what the configuration says of each kind of call."""
    session: Session | None = None
    """The access token's own session; None for an application service."""


class Sessions:
    """Looks access tokens up, keeping the ones in use in memory until they are revoked anywhere."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        caches: CacheBudget,
        *,
        admins: Collection[str] = (),
    ) -> None:
        """``admins`` are administrators whatever the database says."""
        self._admins = frozenset(admins)
        self._db = db
        self._clock = clock
        self._cache: Cache[str, Requester] = caches.cache(
            "sessions", _bytes, group=lambda token, requester: requester.user_id
        )
        wakeups.listen(topics.SESSION, self._cache.forget)

    async def authenticate(self, token: str) -> Requester:
        """The requester of ``token``.

        Raises UnknownToken, with ``soft_logout`` where the token has only expired.
        """
        requester = self._cache.touch(token) or await self._cache.read(token, lambda: self._load(token))
        if requester.session is not None:
            self._check_expired(requester.session)
        return requester

    async def confirm(self, requester: Requester) -> Requester:
        """The requester as they are now.

        Raises UnknownToken as ``authenticate`` does, with ``soft_logout`` too where a newer token of the
        same device has taken the place of this one.
        """
        session = requester.session
        if session is None:
            return requester
        tokens = self._cache.of_group(requester.user_id)
        if any(self._cache.get(token) is requester for token in tokens):
            self._check_expired(session)
            return requester
        return self._requester(await self._db.read(lambda tx: _now(tx, session)))

    def _check_expired(self, session: Session) -> None:
        if session.expires_ts is not None and session.expires_ts <= self._clock.now_ms():
            raise UnknownToken("The access token has expired", soft_logout=True)

    async def _load(self, token: str) -> Requester:
        hash_ = storage.token_hash(token)
        requester = self._requester(await self._db.read(lambda tx: storage.find(tx, hash_)))
        session = requester.session
        if session is not None and not session.used:
            await self._db.write(lambda tx: storage.mark_used(tx, hash_, session.user_id, session.device_id))
        return requester

    def _requester(self, session: Session | None) -> Requester:
        if session is None:
            raise UnknownToken("The access token is not known")
        self._check_expired(session)
        return Requester(
            **override_of(session.per_second, session.burst),
            **{**session.flags(), "is_admin": session.is_admin or session.user_id in self._admins},
            user_id=session.user_id,
            device_id=session.device_id,
            session=session,
        )


def override_of(per_second: int | None, burst: int | None) -> dict[str, Any]:
    """What a requester has of an override of rate limits; where both are 0, there is no limit."""
    if per_second is None or burst is None:
        return {}
    if not per_second and not burst:
        return {"rate_limited": False}
    return {"rate_limit": RateLimit(per_second=max(per_second, SLOWEST), burst=max(burst, 1))}


async def _now(tx: Transaction, session: Session) -> Session | None:
    found = await storage.find(tx, session.token_hash)
    if found is None and await storage.has_token(tx, session.user_id, session.device_id):
        raise UnknownToken("The access token has been replaced", soft_logout=True)
    return found


def _bytes(token: str, requester: Requester) -> int:
    return 900
