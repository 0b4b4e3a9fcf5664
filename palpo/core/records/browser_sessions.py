"""Browsers that users are signed in with."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.identifiers import UserId
from palpo.core.records.accounts import Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession(Flags):
    """A browser in which a user is signed in, with what the account is. Times are milliseconds."""

    token_hash: bytes
    session_id: str
    """Names the session to others, and opens nothing."""
    user_id: UserId
    created_ts: int
    """When the user signed in: proved to be who they are."""
    last_used_ts: int
    """Up to ten minutes late."""
    expires_ts: int
    address: str
    user_agent: str | None
