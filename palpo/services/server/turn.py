"""Credentials for the TURN server (spec: client-server API, "Voice over IP").

As draft-uberti-behave-turn-rest has it: the username says when it expires, and the password is its
HMAC-SHA1 under a secret that the TURN server knows.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass

from palpo.config.sections.clients import TurnConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCredentials:
    """What a client logs in to the TURN server with."""

    username: str
    password: str
    uris: tuple[str, ...]
    ttl: int
    """Seconds."""


def credentials(config: TurnConfig, user_id: str, now_ms: int) -> TurnCredentials | None:
    """Credentials for ``user_id``; None where there is no TURN server."""
    if not config.uris:
        return None
    username = f"{now_ms // 1000 + config.lifetime_seconds}:{user_id}"
    mac = hmac.new(config.shared_secret.encode(), username.encode(), hashlib.sha1).digest()
    return TurnCredentials(
        username=username,
        password=base64.b64encode(mac).decode(),
        uris=config.uris,
        ttl=config.lifetime_seconds,
    )
