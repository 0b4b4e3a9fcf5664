"""What the OAuth 2.0 API keeps. Times are milliseconds since the Unix epoch."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.identifiers import UserId
from palpo.core.oauth.clients import ClientMetadata

PENDING, ALLOWED, DENIED = "pending", "allowed", "denied"
"""What became of a device code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """An application that registered itself."""

    client_id: str
    metadata: ClientMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code that was given out: ``grant_id`` is the grant's that will come of it."""

    code_hash: bytes
    grant_id: str
    client_id: str
    user_id: UserId
    device_id: str
    scope: str
    redirect_uri: str
    code_challenge: str
    expires_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCode:
    """A device that waits for its user's word; ``user_id`` is None until that is given."""

    code_hash: bytes
    user_code: str
    client_id: str
    device_id: str
    scope: str
    user_id: UserId | None
    state: str
    polled_ts: int
    expires_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a client was given: one device of a user's."""

    grant_id: str
    client_id: str
    user_id: UserId
    device_id: str
    scope: str
    created_ts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A client that a user has allowed, when last."""

    user_id: UserId
    client_id: str
    granted_ts: int
