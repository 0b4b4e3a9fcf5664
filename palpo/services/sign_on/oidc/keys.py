"""The keys with which a provider signs, which it may change at any time."""

from __future__ import annotations

import asyncio
from typing import Any

from palpo.core.errors import Forbidden, Unavailable
from palpo.services.sign_on.oidc.fetching import Fetching
from palpo.services.sign_on.oidc.metadata import Discovery
from palpo.streams.clock import Clock

KEPT_S = 3600.0
PAUSE_S = 30.0
"""Between two times that they are fetched, whatever keys tokens name."""
MAX_KEYS = 50


class ProviderKeys:
    """Has them, and fetches them anew when a token names one that is not there."""

    def __init__(self, discovery: Discovery, fetching: Fetching, clock: Clock, *, secret: str) -> None:
        """``secret`` is what HS256 signs with."""
        self._discovery = discovery
        self._fetching = fetching
        self._clock = clock
        self._secret = secret
        self._lock = asyncio.Lock()
        self._known: list[Any] | None = None
        self._fetched_s = float("-inf")

    async def claims(self, token: str, algorithms: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The header and the claims of a signed token; raises Forbidden for one that is not good."""
        from joserfc import jws
        from joserfc.errors import JoseError
        from joserfc.jwk import OctKey

        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError, TypeError, RecursionError) as error:
            raise _not_good() from error
        algorithm, key_id = header.get("alg"), header.get("kid")
        if algorithm not in algorithms:
            raise Forbidden("The provider has signed by a method that is not taken here")
        if str(algorithm).startswith("HS"):
            return _read(token, [OctKey.import_key(self._secret)], str(algorithm))
        keys = await self._keys_of(key_id if isinstance(key_id, str) else None)
        return _read(token, keys, str(algorithm))

    async def _keys_of(self, key_id: str | None) -> list[Any]:
        """The keys that a token may be signed with, newly fetched where it names one that is not there."""
        async with self._lock:
            now = self._clock.elapsed_s()
            age = now - self._fetched_s
            if self._known is None or age >= KEPT_S or (age >= PAUSE_S and not self._has(key_id)):
                self._known = await self._fetch()
                self._fetched_s = now
            return [key for key in self._known if key_id is None or key.kid in (key_id, None)]

    def _has(self, key_id: str | None) -> bool:
        return key_id is None or any(key.kid == key_id for key in self._known or ())

    async def _fetch(self) -> list[Any]:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        url = (await self._discovery.metadata()).jwks_uri
        if not url:
            raise Unavailable("The provider does not say what its keys are")
        found = await self._fetching.json(url)
        keys = found.get("keys")
        if not isinstance(keys, list):
            raise Unavailable("The provider's keys cannot be read")
        # Those of a kind that is not known here are for others.
        usable: list[Any] = []
        for key in keys[:MAX_KEYS]:
            try:
                usable += KeySet.import_key_set({"keys": [key]}).keys
            except (JoseError, ValueError, TypeError, KeyError, AttributeError):
                continue
        return usable


def _read(token: str, keys: list[Any], algorithm: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What one of the keys has signed; raises Forbidden where none has."""
    from joserfc import jwt
    from joserfc.errors import JoseError

    for key in keys:
        try:
            read = jwt.decode(token, key, algorithms=[algorithm])
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            # It is another kind of key, or not the one.
            continue
        return dict(read.header), dict(read.claims)
    raise _not_good()


def _not_good() -> Forbidden:
    return Forbidden("What the provider has signed is not good")
