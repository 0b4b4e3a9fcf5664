"""Codes and refresh tokens, which say what they are and whose grant they belong to.

Each has its kind, its grant's ID and something random in it, under a MAC. So one that is not stored any more,
since it has been used, is still known for what it was, however long ago that was: whoever shows it has copied
it, and the grant ends. Nobody can make one up.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import Enum

from palpo.core.unpadded_base64 import decode, encode_urlsafe

MAX_TOKEN = 256
"""Characters of a token that is looked at."""
GRANT_BYTES, RANDOM_BYTES, MAC_BYTES = 12, 20, 16
LENGTH = 1 + GRANT_BYTES + RANDOM_BYTES + MAC_BYTES
PREFIX = "oauth."
"""Tokens of other logins have no dot in them."""


class Kind(Enum):
    """What a token is for."""

    CODE = b"c"
    REFRESH = b"r"


class Tokens:
    """Makes tokens, and reads them."""

    def __init__(self, secret: bytes) -> None:
        """``secret`` is known to the server's processes only."""
        self._key = hashlib.blake2b(secret, person=b"palpo-oauth").digest()

    def new_grant_id(self) -> str:
        """A grant's ID."""
        return encode_urlsafe(secrets.token_bytes(GRANT_BYTES))

    def make(self, kind: Kind, grant_id: str) -> str:
        """A new token of a grant."""
        payload = kind.value + decode(grant_id) + secrets.token_bytes(RANDOM_BYTES)
        return PREFIX + encode_urlsafe(payload + self._mac(payload))

    def grant_id(self, kind: Kind, token: str) -> str | None:
        """The grant of a token that this server made; None for any other."""
        if len(token) > MAX_TOKEN or not token.startswith(PREFIX):
            return None
        try:
            data = decode(token.removeprefix(PREFIX))
        except ValueError:
            return None
        payload, mac = data[:-MAC_BYTES], data[-MAC_BYTES:]
        if len(data) != LENGTH or not hmac.compare_digest(mac, self._mac(payload)):
            return None
        if payload[:1] != kind.value:
            return None
        return encode_urlsafe(payload[1 : 1 + GRANT_BYTES])

    def _mac(self, payload: bytes) -> bytes:
        return hmac.new(self._key, payload, hashlib.sha256).digest()[:MAC_BYTES]
