"""Who sends a request, where Matrix Authentication Service gives access tokens (MSC3861).

It is asked for each token that is not known; what it says is taken for a while. Accounts and devices are
this server's: it makes, changes and ends them by ``api/delegate``, and then what was kept of the user is
forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from palpo.config.sections.delegation import DelegationConfig
from palpo.core.errors import Forbidden, InvalidParam, Unavailable, UnknownToken
from palpo.core.identifiers import ServerName, UserId, make_user_id
from palpo.core.oauth.scopes import API, SYNAPSE_ADMIN, UNSTABLE_API, device_of
from palpo.core.records.accounts import Account
from palpo.db.transaction import Transaction
from palpo.services.accounts.delegation import Delegation, Introspected
from palpo.services.accounts.sessions import Requester, Sessions, override_of
from palpo.services.server import Server
from palpo.storage import accounts, devices, rate_limits
from palpo.storage.rate_limits import Override
from palpo.storage.sessions import Session, token_hash

MAX_TOKEN = 4096
"""Characters of a token that is asked about."""
REFUSED_S = 10.0
"""Seconds for which a token that stands for nothing is not asked about again."""
MAX_REFUSED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegatedRequester(Requester):
    """A requester for as long as it need not be asked about again: until then, by ``Clock.elapsed_s``."""

    fresh_until_s: float


class DelegatedSessions(Sessions):
    """Looks access tokens up elsewhere."""

    def __init__(self, server: Server, config: DelegationConfig, delegation: Delegation) -> None:
        super().__init__(server.db, server.clock, server.wakeups, server.caches)
        self._name: ServerName = server.name
        self._kept_s = config.cache_seconds
        self._delegation = delegation
        self._refused: dict[str, float] = {}
        """Tokens that stand for nothing, and until when, the oldest first."""

    async def authenticate(self, token: str) -> Requester:
        """The requester of ``token``.

        Raises UnknownToken, Forbidden for a token that is not for this API, and Unavailable where nobody can
        say whose it is.
        """
        now = self._clock.elapsed_s()
        found = self._cache.touch(token)
        if not isinstance(found, DelegatedRequester) or found.fresh_until_s <= now:
            self._check_refused(token, now)
            found = await self._cache.read(token, lambda: self._load(token))
        if found.session is not None:
            self._check_expired(found.session)
        return found

    async def confirm(self, requester: Requester) -> Requester:
        """The requester as they are now; raises UnknownToken where the device or the account is gone."""
        session = requester.session
        if session is None or requester in self._kept_of(requester.user_id):
            if session is not None:
                self._check_expired(session)
            return requester
        account, known, override = await self._db.read(
            lambda tx: _account(tx, session.user_id, session.device_id)
        )
        if not known:
            raise _unknown()
        return _requester(session, account, override, is_admin=requester.is_admin, fresh_until_s=0)

    def _kept_of(self, user_id: UserId) -> Iterator[Requester | None]:
        return (self._cache.get(token) for token in self._cache.of_group(user_id))

    def _check_refused(self, token: str, now: float) -> None:
        if len(token) > MAX_TOKEN or self._refused.get(token, 0) > now:
            raise _unknown()

    async def _load(self, token: str) -> Requester:
        found = await self._delegation.introspect(token)
        if found is None:
            self._refuse(token)
            raise _unknown()
        user_id = self._user_id(found)
        device_id = _device_id(found)
        account, known, override = await self._db.read(lambda tx: _account(tx, user_id, device_id))
        if account is None:
            # It is told of accounts by a task of its own, which may come later.
            raise Unavailable("The account is not here yet")
        if not known:
            # It is told of devices before their tokens are given out: this one is signed out.
            raise _unknown()
        now_ms, lifetime_s = self._clock.now_ms(), found.expires_in
        session = Session(
            token_hash=token_hash(token),
            user_id=user_id,
            device_id=device_id,
            expires_ts=None if lifetime_s is None else now_ms + lifetime_s * 1000,
            used=True,
        )
        return _requester(
            session,
            account,
            override,
            is_admin=SYNAPSE_ADMIN in found.scope.split(" "),
            fresh_until_s=self._clock.elapsed_s() + self._kept_s,
        )

    def _refuse(self, token: str) -> None:
        self._refused.pop(token, None)
        if len(self._refused) >= MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[token] = self._clock.elapsed_s() + REFUSED_S

    def _user_id(self, found: Introspected) -> UserId:
        if not {API, UNSTABLE_API}.intersection(found.scope.split(" ")):
            raise Forbidden("The access token is not for this API")
        try:
            if found.username:
                return make_user_id(found.username, self._name)
        except InvalidParam:
            pass  # Nobody has such a name.
        raise Forbidden("The access token is not a user's")


async def _account(
    tx: Transaction, user_id: str, device_id: str | None
) -> tuple[Account | None, bool, Override | None]:
    """The account, whether it has the device, and its override of rate limits."""
    account = await accounts.find(tx, user_id)
    known = device_id is None or await devices.find(tx, user_id, device_id) is not None
    return account, known, await rate_limits.find(tx, user_id)


def _device_id(found: Introspected) -> str | None:
    """The device of a token: one, or none. Raises Forbidden."""
    named = {device_of(token) for token in found.scope.split(" ")} - {None}
    if found.device_id:
        named = {found.device_id}
    if len(named) > 1:
        raise Forbidden("The access token is of several devices")
    return named.pop() if named else None


def _requester(
    session: Session,
    account: Account | None,
    override: Override | None,
    *,
    is_admin: bool,
    fresh_until_s: float,
) -> DelegatedRequester:
    """Raises UnknownToken for an account that is gone.

    Administrators are those whose token says so, whatever this server knows.
    """
    if account is None or account.deactivated:
        raise _unknown()
    limits = {} if override is None else override_of(override.per_second, override.burst)
    return DelegatedRequester(
        **limits,
        **{**account.flags(), "is_admin": is_admin},
        user_id=session.user_id,
        device_id=session.device_id,
        session=session,
        fresh_until_s=fresh_until_s,
    )


def _unknown() -> UnknownToken:
    return UnknownToken("The access token is not known")
