"""Logging out whoever was logged out at a provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from palpo.core.errors import Forbidden
from palpo.services.sign_on.cas import CasProvider, read_logout, session_of
from palpo.services.sign_on.oidc.provider import OidcProvider
from palpo.services.sign_on.providers import Providers
from palpo.services.sign_on.saml import SamlProvider
from palpo.services.sign_on.upstream_sessions import UpstreamSessions


class Logouts:
    """Takes what providers say of that."""

    def __init__(self, providers: Providers, sessions: UpstreamSessions) -> None:
        self._providers = [
            item for item in providers if isinstance(item, OidcProvider) and item.oidc.backchannel_logout
        ]
        self._saml = [item for item in providers if isinstance(item, SamlProvider)]
        self._cas = [item for item in providers if isinstance(item, CasProvider)]
        self._sessions = sessions

    async def log_out(self, logout_token: str) -> None:
        """End what came of the sign-ons that a provider says are over.

        Raises Forbidden for a token that is not good, and Unavailable where its keys cannot be had.
        """
        said = unverified_claims(logout_token)
        for provider in self._providers:
            if said.get("iss") == provider.oidc.issuer and provider.is_client(said.get("aud")):
                subject, session = await provider.logged_out(logout_token)
                await self._sessions.end(provider.id, subject, session)
                return
        raise Forbidden("No provider that may log anybody out has issued that")

    async def log_out_by_saml(self, query: str, form: Mapping[str, str]) -> str:
        """End what came of the sign-ons that a provider says are over, by a query or a form.

        Returns where the browser takes the answer, empty for nowhere. Raises Forbidden unless one has signed.
        """
        for provider in self._saml:
            try:
                said = await provider.logged_out(query, form)
            except Forbidden:
                continue
            for session in said.sessions or ("",):
                await self._sessions.end(provider.id, said.name_id, session)
            return said.location
        raise Forbidden("No provider has signed that")

    async def log_out_by_cas(self, request: str) -> None:
        """End what came of the ticket in a server's request: only the server and the browser ever knew it."""
        ticket = read_logout(request.encode())
        if not ticket:
            raise Forbidden("That is no logout request")
        for provider in self._cas:
            await self._sessions.end_session(provider.id, session_of(ticket))


def unverified_claims(token: str) -> dict[str, Any]:
    """What a token says, to find out who is to be asked whether it is good; raises Forbidden."""
    from joserfc import jws
    from joserfc.errors import JoseError

    try:
        payload = jws.extract_compact(token.encode()).payload
        return msgspec.json.decode(payload, type=dict[str, Any])
    except (JoseError, ValueError, TypeError, RecursionError, msgspec.DecodeError) as error:
        raise Forbidden("That is no logout token") from error
