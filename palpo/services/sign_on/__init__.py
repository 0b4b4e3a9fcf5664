"""Signing on with an account from elsewhere: OpenID Connect, SAML, CAS, LDAP, and JSON Web Tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnServices:
    """Those that other areas use, and the API."""
