"""Logging in by a JSON Web Token of the operator's own making (``org.matrix.login.jwt``)."""

from __future__ import annotations

from typing import Any

from palpo.config.model import Config
from palpo.config.sections.sign_on import JwtConfig
from palpo.core.errors import Forbidden, MatrixError
from palpo.core.records.accounts import Account
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.logins import Logins
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.registration import Registration
from palpo.services.sign_on.identities import MAX_NAME
from palpo.services.sign_on.linked_accounts import usable
from palpo.storage import accounts
from palpo.streams.clock import Clock

LEEWAY_S = 60
MAX_TOKEN = 16 * 1024
"""Characters."""


class JsonWebTokens:
    """Takes them, and makes accounts for those who have none."""

    def __init__(
        self,
        config: Config,
        db: Database,
        clock: Clock,
        logins: Logins,
        registration: Registration,
        profiles: Profiles,
    ) -> None:
        self._config = config.jwt
        self._db = db
        self._clock = clock
        self._logins = logins
        self._registration = registration
        self._profiles = profiles
        self._keys: list[Any] = []

    @property
    def enabled(self) -> bool:
        """Whether anyone logs in so."""
        return self._config.enabled

    async def prove(self, token: str) -> Account:
        """The account of who has a token; raises Forbidden, and what making an account raises."""
        claims = self._claims(token)
        localpart = claims.get(self._config.subject_claim)
        if not isinstance(localpart, str) or not localpart or localpart.startswith("@"):
            raise Forbidden("The token does not say who you are")
        found = usable(await self._logins.find(localpart))
        if found is not None:
            if found.appservice_id is not None:
                raise Forbidden("The user is an application service's")
            return found
        if not self._config.registration:
            raise Forbidden("You have no account here")
        return await self._make(localpart, claims.get(self._config.display_name_claim))

    async def _make(self, localpart: str, name: object) -> Account:
        try:
            user_id = await self._registration.check_available(localpart)
            await self._registration.register_linked(user_id, _nothing_else)
        except MatrixError as error:
            raise Forbidden(error.message) from error
        if isinstance(name, str) and name:
            await self._profiles.set_field(user_id, "displayname", name[:MAX_NAME])
        account = await self._db.read(lambda tx: accounts.find(tx, user_id))
        assert account is not None
        return account

    def _claims(self, token: str) -> dict[str, Any]:
        """What a good token says; raises Forbidden."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        if len(token) > MAX_TOKEN:
            raise _not_good()
        self._keys = self._keys or keys_of(self._config)
        for key in self._keys:
            try:
                claims = dict(jwt.decode(token, key, algorithms=list(self._config.algorithms)).claims)
            except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue
            self._check(claims)
            return claims
        raise _not_good()

    def _check(self, claims: dict[str, Any]) -> None:
        now_s = self._clock.now_ms() / 1000
        config = self._config
        if config.issuer and claims.get("iss") != config.issuer:
            raise Forbidden("The token is another issuer's")
        audience = claims.get("aud")
        said = audience if isinstance(audience, list) else [] if audience is None else [audience]
        if (said or config.audiences) and not any(item in config.audiences for item in said):
            raise Forbidden("The token is not for this server")
        if _time(claims, "exp", now_s) + LEEWAY_S <= now_s:
            raise Forbidden("The token has expired")
        if _time(claims, "nbf", now_s) > now_s + LEEWAY_S or _time(claims, "iat", now_s) > now_s + LEEWAY_S:
            raise Forbidden("The token is not good yet")
        if config.max_age_seconds and _time(claims, "iat", 0) + config.max_age_seconds + LEEWAY_S <= now_s:
            raise Forbidden("The token is too old")


def keys_of(config: JwtConfig) -> list[Any]:
    """What tokens are checked with; raises ValueError for a file that has no keys."""
    from joserfc.jwk import ECKey, KeySet, OctKey, OKPKey, RSAKey

    if config.key_file is None:
        return [OctKey.import_key(config.secret)]
    content = config.key_file.read_bytes()
    if content.lstrip().startswith(b"{"):
        import msgspec

        return list(KeySet.import_key_set(msgspec.json.decode(content)).keys)
    for kind in (RSAKey, ECKey, OKPKey):
        try:
            return [kind.import_key(content)]
        except (ValueError, TypeError):
            continue
    raise ValueError(f"{config.key_file} has no public key in it")


def _time(claims: dict[str, Any], name: str, missing: float) -> float:
    value = claims.get(name, missing)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Forbidden(f"{name} of the token is no time")
    return value


async def _nothing_else(tx: WriteTransaction) -> None:
    """There is no link: the localpart is in the token."""


def _not_good() -> Forbidden:
    return Forbidden("The token is not good")
