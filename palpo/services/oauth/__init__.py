"""OAuth 2.0 for clients: this server as the one that grants access (spec: "OAuth 2.0 API")."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthServices:
    """Those that other areas use, and the API."""
