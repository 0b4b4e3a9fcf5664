"""How this server proves to a provider that it is the client (OpenID Connect Core 1.0, section 9)."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_plus

from palpo.config.sections.sign_on import OidcConfig
from palpo.streams.clock import Clock

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_S = 60


class ClientAuthentication:
    """Makes what the token endpoint is shown."""

    def __init__(self, config: OidcConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock

    def proof(self, token_endpoint: str) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The fields and the headers to add to a request."""
        config = self._config
        if config.client_auth == "client_secret_basic":
            # Encoded as in a form first (RFC 6749, section 2.3.1).
            pair = f"{quote_plus(config.client_id)}:{quote_plus(config.client_secret)}"
            return {}, {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        fields = {"client_id": config.client_id}
        if config.client_auth == "client_secret_post":
            fields["client_secret"] = config.client_secret
        elif config.client_auth in ("client_secret_jwt", "private_key_jwt"):
            fields["client_assertion_type"] = ASSERTION
            fields["client_assertion"] = self._assertion(token_endpoint)
        return fields, {}

    def _assertion(self, token_endpoint: str) -> str:
        from joserfc import jwt

        key, algorithm = self._key()
        now = self._clock.now_ms() // 1000
        claims = {
            "iss": self._config.client_id,
            "sub": self._config.client_id,
            "aud": token_endpoint,
            "jti": secrets.token_urlsafe(16),
            "iat": now,
            "exp": now + ASSERTION_S,
        }
        header = {"alg": algorithm, "typ": "JWT"}
        if self._config.client_key_id and algorithm != "HS256":
            header["kid"] = self._config.client_key_id
        return jwt.encode(header, claims, key, algorithms=[algorithm])

    def _key(self) -> tuple[Any, str]:
        """The key, and what it signs with."""
        from joserfc.jwk import ECKey, OctKey, RSAKey

        if self._config.client_auth == "client_secret_jwt":
            return OctKey.import_key(self._config.client_secret), "HS256"
        assert self._config.client_key is not None
        pem = self._config.client_key.read_bytes()
        try:
            return RSAKey.import_key(pem), "RS256"
        except (ValueError, TypeError):
            key = ECKey.import_key(pem)
            return key, {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.curve_name]
