"""Authorization requests: what a client sends a user's browser with (RFC 6749, 4.1.1; RFC 7636; RFC 9207).

Who the client is, and where its answers go, is looked at first: until both are known to be good, what is
wrong is shown to the user, and nobody is sent anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from palpo.core.oauth.clients import AUTHORIZATION_CODE
from palpo.core.oauth.errors import (
    INVALID_REDIRECT_URI,
    INVALID_REQUEST,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_RESPONSE_TYPE,
    OAuthError,
)
from palpo.core.oauth.scopes import read_scope
from palpo.core.records.oauth import Client
from palpo.services.oauth.clients import OAuthClients

QUERY, FRAGMENT, FORM_POST = "query", "fragment", "form_post"
RESPONSE_MODES = (QUERY, FRAGMENT, FORM_POST)
MAX_STATE = 2048
"""Characters."""

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where the answer to a request goes, and how."""

    client: Client
    redirect_uri: str
    response_mode: str
    state: str | None

    def answer(self, issuer: str, **fields: str) -> dict[str, str]:
        """What is sent there; ``iss`` says from where, so that no client takes it for another server's."""
        state = {} if self.state is None else {"state": self.state}
        return {**fields, **state, "iss": issuer}

    def location(self, fields: Mapping[str, str]) -> str:
        """The URI with which it is sent there, but for ``form_post``."""
        if self.response_mode == FRAGMENT:
            return f"{self.redirect_uri}#{urlencode(fields)}"
        return f"{self.redirect_uri}{'&' if '?' in self.redirect_uri else '?'}{urlencode(fields)}"


class Refused(OAuthError):
    """A request that is refused, and whose client is told so at ``target``."""

    def __init__(self, target: Target, error: OAuthError) -> None:
        super().__init__(error.code, error.message, status=error.status)
        self.target = target


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """One that is as it should be, and that only its user can refuse."""

    target: Target
    scope: str
    device_id: str
    code_challenge: str

    @property
    def client(self) -> Client:
        """Who asks."""
        return self.target.client


class OAuthRequests:
    """Reads authorization requests."""

    def __init__(self, clients: OAuthClients) -> None:
        self._clients = clients

    async def read(self, params: Mapping[str, str]) -> AuthorizationRequest:
        """A request by its parameters; raises OAuthError, and Refused where its client can be told."""
        client = await self._clients.find(params.get("client_id", ""))
        target = _target(client, params)
        try:
            return _read(target, params)
        except OAuthError as error:
            raise Refused(target, error) from None


def _target(client: Client, params: Mapping[str, str]) -> Target:
    uri, mode, state = params.get("redirect_uri"), params.get("response_mode", QUERY), params.get("state")
    if uri is None:
        raise OAuthError(INVALID_REQUEST, "redirect_uri is missing")
    if not client.metadata.allows_redirect(uri):
        raise OAuthError(INVALID_REDIRECT_URI, "The redirect URI is not one that the client registered")
    if mode not in RESPONSE_MODES:
        raise OAuthError(INVALID_REQUEST, "The response mode is not known")
    if state is not None and len(state) > MAX_STATE:
        raise OAuthError(INVALID_REQUEST, "The state is too long")
    return Target(client=client, redirect_uri=uri, response_mode=mode, state=state)


def _read(target: Target, params: Mapping[str, str]) -> AuthorizationRequest:
    if params.get("response_type") != "code":
        raise OAuthError(UNSUPPORTED_RESPONSE_TYPE, "The response type has to be code")
    if AUTHORIZATION_CODE not in target.client.metadata.grant_types:
        raise OAuthError(UNAUTHORIZED_CLIENT, "The client did not register for this grant type")
    if "request" in params or "request_uri" in params:
        raise OAuthError(INVALID_REQUEST, "Requests that are signed are not served here")
    challenge = params.get("code_challenge", "")
    if params.get("code_challenge_method") != "S256" or _CHALLENGE.fullmatch(challenge) is None:
        raise OAuthError(INVALID_REQUEST, "PKCE with S256 is required")
    scope, device_id = read_scope(params.get("scope", ""))
    return AuthorizationRequest(target=target, scope=scope, device_id=device_id, code_challenge=challenge)
