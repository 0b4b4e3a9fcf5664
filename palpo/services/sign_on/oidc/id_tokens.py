"""What makes an ID token good (OpenID Connect Core 1.0, section 3.1.3.7)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from secrets import compare_digest
from typing import Any

from palpo.core.errors import Forbidden
from palpo.core.unpadded_base64 import encode_urlsafe

LEEWAY_S = 120
"""By how much the provider's clock may differ."""
MAX_AGE_S = 600
"""How old an ID token may be that was asked for just now."""


def check_id_token(
    header: Mapping[str, Any],
    claims: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    access_token: str | None,
    now_s: float,
) -> None:
    """Raises Forbidden for claims, rightly signed, that are not meant for this sign-on."""
    check_issued(claims, issuer=issuer, client_id=client_id, now_s=now_s)
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise Forbidden("The provider does not say who you are")
    said = claims.get("nonce")
    if not isinstance(said, str) or not compare_digest(said.encode(), nonce.encode()):
        raise Forbidden("The provider's answer is to another question")
    if _number(claims, "iat") < now_s - MAX_AGE_S:
        raise Forbidden("The provider's answer is too old")
    hash_ = claims.get("at_hash")
    if hash_ is not None and access_token is not None:
        expected = _half_hash(str(header.get("alg")), access_token)
        if expected is not None and hash_ != expected:
            raise Forbidden("The provider's answer is put together from two")


def check_issued(claims: Mapping[str, Any], *, issuer: str, client_id: str, now_s: float) -> None:
    """Raises Forbidden for what another has issued, or for another, or that has expired."""
    if claims.get("iss") != issuer:
        raise Forbidden("Another provider has answered")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if client_id not in audiences:
        raise Forbidden("The provider's answer is not for this server")
    if len(audiences) > 1 and claims.get("azp", client_id) != client_id:
        raise Forbidden("The provider's answer is not for this server")
    if _number(claims, "exp") + LEEWAY_S <= now_s:
        raise Forbidden("The provider's answer has expired")
    if _number(claims, "iat") > now_s + LEEWAY_S:
        raise Forbidden("The provider's answer is from the future: one of the clocks is wrong")


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Forbidden(f"The provider's answer has no {name}")
    return value


def _half_hash(algorithm: str, text: str) -> str | None:
    """The left half of the hash that goes with an algorithm; None where it is not said which that is."""
    hashes = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
    make = hashes.get(algorithm[-3:])
    if make is None:
        return None
    digest = make(text.encode()).digest()
    return encode_urlsafe(digest[: len(digest) // 2])
