"""A provider of OpenID Connect: the authorization code flow, with PKCE."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from secrets import compare_digest
from typing import Any
from urllib.parse import urlencode

from palpo.config.sections.sign_on import OidcConfig
from palpo.core.errors import Forbidden, Unavailable
from palpo.core.unpadded_base64 import encode_urlsafe
from palpo.services.sign_on.flows import REGISTER, Flow, ForBrowser, ForClient
from palpo.services.sign_on.identities import Identity
from palpo.services.sign_on.oidc.client_authentication import ClientAuthentication
from palpo.services.sign_on.oidc.fetching import Fetching, decoded
from palpo.services.sign_on.oidc.id_tokens import check_id_token, check_issued
from palpo.services.sign_on.oidc.keys import ProviderKeys
from palpo.services.sign_on.oidc.metadata import Discovery, Metadata
from palpo.services.sign_on.providers import Provider
from palpo.streams.clock import Clock

CALLBACK = "/_synapse/client/oidc/callback"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
MAX_LOGOUT_AGE_S = 300
MAX_REFRESH_TOKEN = 8192
"""Characters of one that is kept."""
CREATE = "create"
"""The prompt by which a provider has its user make an account (Initiating User Registration 1.0)."""


class OidcProvider(Provider):
    """One of ``[[oidc]]``."""

    def __init__(
        self,
        config: OidcConfig,
        clock: Clock,
        fetching: Fetching,
        discovery: Discovery,
        keys: ProviderKeys,
        authentication: ClientAuthentication,
        *,
        base_url: str,
    ) -> None:
        """``base_url`` is where browsers reach this server."""
        super().__init__(config)
        self.oidc = config
        self._clock = clock
        self._callback = base_url.rstrip("/") + CALLBACK
        self._fetching = fetching
        self._discovery = discovery
        self._keys = keys
        self._authentication = authentication

    async def ask(self, flow: Flow) -> tuple[Flow, str]:
        """See ``Provider``."""
        metadata = await self._discovery.metadata()
        query = {
            **self.oidc.authorization_parameters,
            "response_type": "code",
            "client_id": self.oidc.client_id,
            "redirect_uri": self._callback,
            "scope": " ".join(self.oidc.scopes),
            "state": flow.id,
        }
        if _registers(flow) and CREATE in metadata.prompt_values_supported:
            query.setdefault("prompt", CREATE)
        if self._has_id_token:
            query["nonce"] = flow.nonce
        if self.oidc.pkce:
            query["code_challenge"] = encode_urlsafe(hashlib.sha256(flow.verifier.encode()).digest())
            query["code_challenge_method"] = "S256"
        url = metadata.authorization_endpoint
        return flow, f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"

    async def finish(self, flow: Flow, answer: Mapping[str, str]) -> Identity:
        """See ``Provider``."""
        metadata = await self._discovery.metadata()
        self._check_issuer(answer.get("iss"), metadata)
        if "error" in answer:
            raise Forbidden("You have not signed on there")
        if not answer.get("code"):
            raise Forbidden("The provider has not answered")
        tokens = await self._exchange(flow, answer["code"], metadata)
        access_token = tokens.get("access_token")
        if not isinstance(access_token, str):
            access_token = None
        claims: dict[str, Any] = {}
        if self._has_id_token:
            claims = await self._id_token(flow, tokens.get("id_token"), access_token)
        if self._wants_userinfo(claims, metadata):
            claims |= await self._userinfo(metadata, access_token, claims.get("sub"))
        refresh = tokens.get("refresh_token") if self.oidc.refresh_minutes else None
        return self._identity(claims, refresh if isinstance(refresh, str) else "")

    async def logged_out(self, logout_token: str) -> tuple[str, str]:
        """Who was logged out there, and of which session, empty for all of theirs.

        Raises Forbidden for a token that is not good (OpenID Connect Back-Channel Logout 1.0, section 2.6).
        """
        _, claims = await self._keys.claims(logout_token, self.oidc.id_token_algorithms)
        now_s = self._clock.now_ms() / 1000
        check_issued(claims, issuer=self.oidc.issuer, client_id=self.oidc.client_id, now_s=now_s)
        if claims["iat"] < now_s - MAX_LOGOUT_AGE_S:
            raise Forbidden("The logout token is too old")
        events = claims.get("events")
        if not isinstance(events, dict) or LOGOUT_EVENT not in events or "nonce" in claims:
            raise Forbidden("That is no logout token")
        subject, session = claims.get("sub"), claims.get("sid", "")
        if not isinstance(subject, str) or not isinstance(session, str):
            raise Forbidden("The logout token does not say who is logged out")
        return subject, session

    async def end_of_session(self, subject: str, then: str) -> str:
        """Where a browser signs out there, to come back to ``then``; empty where there is no such place.

        Raises Unavailable (OpenID Connect RP-Initiated Logout 1.0, section 2).
        """
        metadata = await self._discovery.metadata()
        if not self.oidc.end_session or not metadata.end_session_endpoint:
            return ""
        said = {
            "client_id": self.oidc.client_id,
            "logout_hint": subject,
            "post_logout_redirect_uri": then,
        }
        url = metadata.end_session_endpoint
        return f"{url}{'&' if '?' in url else '?'}{urlencode(said)}"

    async def renewed(self, refresh_token: str) -> str | None:
        """The refresh token that comes after this one; None where the provider lets its user in no more.

        Raises Unavailable where it cannot be asked, or has its own trouble: that says nothing of the user.
        """
        metadata = await self._discovery.metadata()
        fields, headers = self._authentication.proof(metadata.token_endpoint)
        asked = {"grant_type": "refresh_token", "refresh_token": refresh_token, **fields}
        status, tokens = await self._fetching.post(metadata.token_endpoint, asked, headers)
        if tokens.get("error") == "invalid_grant":
            return None
        if status != 200 or "error" in tokens:
            raise Unavailable("The provider does not answer as it should")
        new = tokens.get("refresh_token")
        return new if isinstance(new, str) and new else refresh_token

    def is_client(self, audience: object) -> bool:
        """Whether what is for ``audience`` is for this server."""
        return self.oidc.client_id in (audience if isinstance(audience, list) else [audience])

    @property
    def _has_id_token(self) -> bool:
        return "openid" in self.oidc.scopes

    def _check_issuer(self, said: str | None, metadata: Metadata) -> None:
        """Raises Forbidden where another provider has answered (RFC 9207)."""
        if said is None:
            if metadata.authorization_response_iss_parameter_supported:
                raise Forbidden("The answer does not say which provider it is from")
        elif not compare_digest(said.encode(), self.oidc.issuer.encode()):
            raise Forbidden("Another provider has answered")

    async def _exchange(self, flow: Flow, code: str, metadata: Metadata) -> dict[str, Any]:
        """What the token endpoint gives for a code; raises Forbidden, and Unavailable."""
        fields, headers = self._authentication.proof(metadata.token_endpoint)
        asked = {"grant_type": "authorization_code", "code": code, "redirect_uri": self._callback, **fields}
        if self.oidc.pkce:
            asked["code_verifier"] = flow.verifier
        status, tokens = await self._fetching.post(metadata.token_endpoint, asked, headers)
        if status >= 500:
            raise Unavailable("The provider fails")
        if status != 200 or "error" in tokens:
            raise Forbidden("The provider does not take its own code; start again")
        return tokens

    async def _id_token(self, flow: Flow, token: object, access_token: str | None) -> dict[str, Any]:
        if not isinstance(token, str):
            raise Forbidden("The provider has given no ID token")
        header, claims = await self._keys.claims(token, self.oidc.id_token_algorithms)
        check_id_token(
            header,
            claims,
            issuer=self.oidc.issuer,
            client_id=self.oidc.client_id,
            nonce=flow.nonce,
            access_token=access_token,
            now_s=self._clock.now_ms() / 1000,
        )
        return claims

    def _wants_userinfo(self, claims: Mapping[str, Any], metadata: Metadata) -> bool:
        if self.oidc.userinfo != "auto":
            return self.oidc.userinfo == "always"
        is_enough = "name" in claims or "preferred_username" in claims
        return bool(metadata.userinfo_endpoint) and not is_enough

    async def _userinfo(
        self, metadata: Metadata, access_token: str | None, subject: object
    ) -> dict[str, Any]:
        """What the userinfo endpoint says; raises Forbidden where it is about somebody else."""
        if not metadata.userinfo_endpoint or access_token is None:
            raise Unavailable("The provider cannot be asked who you are")
        body = await self._fetching.get(metadata.userinfo_endpoint, token=access_token)
        if body[:1] == b"{":
            claims = decoded(body)
        else:
            _, claims = await self._keys.claims(body.decode("latin-1"), self.oidc.id_token_algorithms)
        if subject is not None and claims.get("sub") != subject:
            raise Forbidden("The provider speaks of somebody else")
        return claims

    def _identity(self, claims: dict[str, Any], refresh_token: str) -> Identity:
        external_id = claims.get(self.oidc.subject_claim)
        if isinstance(external_id, bool) or not isinstance(external_id, str | int):
            raise Forbidden("The provider does not say who you are")
        session = claims.get("sid")
        subject = claims.get("sub")
        return Identity(
            provider=self.id,
            external_id=str(external_id),
            claims=claims,
            upstream_session=session if isinstance(session, str) else "",
            subject=subject if isinstance(subject, str) else "",
            refresh_token=refresh_token if len(refresh_token) <= MAX_REFRESH_TOKEN else "",
        )


def _registers(flow: Flow) -> bool:
    return isinstance(flow.purpose, ForClient | ForBrowser) and flow.purpose.action == REGISTER
