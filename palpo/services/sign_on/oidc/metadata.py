"""Where a provider's endpoints are (OpenID Connect Discovery 1.0, RFC 8414)."""

from __future__ import annotations

import asyncio

import msgspec

from palpo.config.sections.sign_on import OidcConfig
from palpo.core.errors import Unavailable
from palpo.services.sign_on.oidc.fetching import Fetching
from palpo.streams.clock import Clock

KEPT_S = 3600.0
WELL_KNOWN = "/.well-known/openid-configuration"


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of it."""

    issuer: str
    authorization_endpoint: str = ""
    token_endpoint: str = ""
    userinfo_endpoint: str = ""
    jwks_uri: str = ""
    end_session_endpoint: str = ""
    authorization_response_iss_parameter_supported: bool = False
    prompt_values_supported: tuple[str, ...] = ()


ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri")


class Discovery:
    """Knows a provider's metadata: fetched when it is first needed, and again after an hour."""

    def __init__(self, config: OidcConfig, fetching: Fetching, clock: Clock) -> None:
        self._config = config
        self._fetching = fetching
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: tuple[float, Metadata] | None = None

    async def metadata(self) -> Metadata:
        """Raises Unavailable where it cannot be had, or is somebody else's."""
        async with self._lock:
            now = self._clock.elapsed_s()
            if self._known is None or self._known[0] + KEPT_S <= now:
                self._known = (now, await self._fetch())
            return self._known[1]

    async def _fetch(self) -> Metadata:
        found = Metadata(issuer=self._config.issuer)
        if self._config.discover:
            answer = await self._fetching.json(self._config.issuer.rstrip("/") + WELL_KNOWN)
            try:
                found = msgspec.convert(answer, Metadata)
            except msgspec.ValidationError as error:
                raise Unavailable("The provider's metadata cannot be read") from error
        if found.issuer != self._config.issuer:
            raise Unavailable("The provider's metadata is another's")
        named = {name: getattr(self._config, name) for name in ENDPOINTS}
        found = msgspec.structs.replace(found, **{name: url for name, url in named.items() if url})
        if not found.authorization_endpoint or not found.token_endpoint:
            raise Unavailable("The provider's metadata lacks an endpoint")
        if not all(_is_url(url) for url in (found.authorization_endpoint, found.end_session_endpoint)):
            raise Unavailable("The provider's metadata names what is no address for a browser")
        return found


def _is_url(text: str) -> bool:
    """Whether a browser can be sent there: nothing that ends a header, or that is no URL of the web."""
    return not text or (text.startswith(("https://", "http://")) and text.isprintable() and " " not in text)
