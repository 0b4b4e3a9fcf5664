"""Signing on with an account from elsewhere: OpenID Connect, SAML, CAS, LDAP, and JSON Web Tokens.

Providers that a browser is sent to (``Providers``) begin a flow (``flows.py``), by which the browser is known
when it comes back with an answer. ``SignOns`` has the provider say who that is, finds or makes the account
(``LinkedAccounts``), and does what the flow was for. LDAP and JSON Web Tokens are ways of /login.
"""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.sign_on.json_web_tokens import JsonWebTokens
from palpo.services.sign_on.ldap.directories import Directories
from palpo.services.sign_on.logouts import Logouts
from palpo.services.sign_on.proofs import Proofs
from palpo.services.sign_on.providers import Providers
from palpo.services.sign_on.renewals import Renewals
from palpo.services.sign_on.sign_ons import SignOns
from palpo.services.sign_on.upstream_sessions import UpstreamSessions


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnServices:
    """Those that other areas use, and the API."""

    directories: Directories
    json_web_tokens: JsonWebTokens
    logouts: Logouts
    proofs: Proofs
    providers: Providers
    renewals: Renewals
    sign_ons: SignOns
    upstream_sessions: UpstreamSessions
