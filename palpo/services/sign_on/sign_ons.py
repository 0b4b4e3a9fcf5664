"""Signing on elsewhere, from the browser's return to what it was for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from palpo.core.errors import BadRequest, Forbidden, NotFound, Unavailable
from palpo.core.identifiers import UserId
from palpo.services.accounts.logins import Logins
from palpo.services.accounts.user_interactive_auth import SSO, UserInteractiveAuth
from palpo.services.server import Server
from palpo.services.sign_on import clients
from palpo.services.sign_on.flows import Flow, Flows, ForBrowser, ForClient, ForStage, Seals
from palpo.services.sign_on.identities import Identity, Person, Upstream
from palpo.services.sign_on.linked_accounts import Charge, Choice, LinkedAccounts
from palpo.services.sign_on.providers import Provider, Providers
from palpo.services.sign_on.upstream_sessions import UpstreamSessions

LOGIN_TOKEN_MS = 60_000
"""How long a client has to use a token: it may be a phone without much of a network."""
LOGIN_FALLBACK = "/_matrix/static/client/login/"


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has signed on, and has to say what they want to be called."""

    flow: Flow
    external_id: str
    upstream: Upstream
    person: Person


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who has signed on, and is asked whether a client may have a login token."""

    flow: Flow
    upstream: Upstream
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOn:
    """The browser goes back to the client, with a login token."""

    url: str
    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskName:
    """A new user picks a localpart; ``sealed`` comes back with it."""

    sealed: str
    provider: str
    client: str
    url: str
    suggested: str
    taken: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConsent:
    """The user says whether the client may log in; ``sealed`` comes back then."""

    sealed: str
    client: str
    url: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDone:
    """A stage of user-interactive auth is complete."""

    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """The browser itself is to be signed in, and goes on to a path of this server."""

    user_id: UserId
    upstream: Upstream
    next: str
    cookie: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """A provider at which a user is signed in, and the URL of its page for signing out."""

    provider: str
    url: str


Finished = GoOn | SignedIn
Outcome = Finished | AskName | AskConsent | StageDone
K = TypeVar("K", NewUser, Consent)


class SignOns:
    """Finishes what ``Providers.begin`` began."""

    def __init__(
        self,
        server: Server,
        providers: Providers,
        flows: Flows,
        seals: Seals,
        linked: LinkedAccounts,
        logins: Logins,
        interactive_auth: UserInteractiveAuth,
        sessions: UpstreamSessions,
    ) -> None:
        listed = server.config.sso.client_whitelist
        self._listed = (*listed, server.config.base_url.rstrip("/") + LOGIN_FALLBACK)
        self._providers = providers
        self._flows = flows
        self._seals = seals
        self._linked = linked
        self._logins = logins
        self._interactive_auth = interactive_auth
        self._sessions = sessions

    def is_listed(self, redirect_url: str) -> bool:
        """Whether a client is given a login token without a question."""
        return clients.is_listed(redirect_url, self._listed)

    async def finish(
        self, flow_id: str, cookies: dict[str, str], answer: Mapping[str, str], *, kind: type, charge: Charge
    ) -> Outcome:
        """What comes of a browser's return from a provider of the ``kind`` whose page it came to.

        Raises BadRequest where this browser did not begin it, Forbidden where the sign-on proves nothing or
        there is no account, and Unavailable.
        """
        flow = self._flows.find(flow_id, cookies)
        provider = self._providers.get(flow.provider)
        if not isinstance(provider, kind):
            raise BadRequest("Another provider was asked; start again")
        identity = await provider.finish(flow, answer)
        await self._flows.once(flow, "answer")
        person = provider.mapping.person(identity.claims)
        if isinstance(flow.purpose, ForStage):
            return await self._complete_stage(flow, flow.purpose, identity)
        settled = await self._linked.settle(identity, person, provider.config, charge)
        if isinstance(settled, Choice):
            return self._ask_name(flow, provider, identity, person, settled)
        return await self._grant(flow, settled.user_id, identity.upstream)

    async def pick(self, sealed: str, cookies: dict[str, str], localpart: str, *, charge: Charge) -> Finished:
        """What comes of a new user's choice; raises M_USER_IN_USE, M_INVALID_USERNAME, BadRequest."""
        new = self._opened(sealed, NewUser, cookies)
        provider = self._providers.get(new.flow.provider)
        identity = Identity(
            provider=new.upstream.provider,
            external_id=new.external_id,
            claims={},
            upstream_session=new.upstream.session,
            subject=new.upstream.subject,
            refresh_token=new.upstream.refresh_token,
        )
        charge()
        account = await self._linked.make(identity, new.person, localpart, provider.config)
        return await self._give(new.flow, account.user_id, new.upstream)

    async def consent(self, sealed: str, cookies: dict[str, str]) -> Finished:
        """Send the browser on that was asked whether it is to be; raises BadRequest."""
        asked = self._opened(sealed, Consent, cookies)
        return await self._give(asked.flow, UserId(asked.user_id), asked.upstream)

    async def signed_in_at(self, token: str, then: str) -> Elsewhere | None:
        """Where the user of a browser is still signed in, and how they sign out there and come back.

        None where they did not sign on elsewhere, or cannot be sent there.
        """
        session = await self._sessions.of_browser(token)
        if session is None:
            return None
        try:
            provider = self._providers.get(session.auth_provider)
            url = await provider.end_of_session(session.subject, then)
        except (NotFound, Unavailable):
            return None
        return Elsewhere(provider=provider.config.name, url=url) if url else None

    def describe(self, sealed: str, cookies: dict[str, str]) -> AskName:
        """What a new user was asked, to ask again; raises BadRequest."""
        new = self._opened(sealed, NewUser, cookies)
        provider = self._providers.get(new.flow.provider)
        return AskName(
            sealed=sealed,
            provider=provider.config.name,
            client=_client(new.flow),
            url=_url(new.flow),
            suggested=new.person.localpart,
            taken=False,
        )

    async def _complete_stage(self, flow: Flow, stage: ForStage, identity: Identity) -> StageDone:
        account = await self._linked.find(identity.provider, identity.external_id)
        if account is None:
            raise Forbidden("That is not your account")
        await self._interactive_auth.complete_as(stage.session, SSO, account.user_id)
        return StageDone(cookie=self._flows.end(flow))

    def _ask_name(
        self, flow: Flow, provider: Provider, identity: Identity, person: Person, choice: Choice
    ) -> AskName:
        new = NewUser(flow=flow, external_id=identity.external_id, upstream=identity.upstream, person=person)
        return AskName(
            sealed=self._seals.seal(new),
            provider=provider.config.name,
            client=_client(flow),
            url=_url(flow),
            suggested=choice.suggested,
            taken=choice.taken,
        )

    async def _grant(self, flow: Flow, user_id: UserId, upstream: Upstream) -> Finished | AskConsent:
        """Send the browser on, or ask first where the client is not listed."""
        url = _url(flow)
        if not url or self.is_listed(url):
            return await self._give(flow, user_id, upstream)
        asked = Consent(flow=flow, upstream=upstream, user_id=user_id)
        return AskConsent(sealed=self._seals.seal(asked), client=_client(flow), url=url, user_id=user_id)

    async def _give(self, flow: Flow, user_id: UserId, upstream: Upstream) -> Finished:
        await self._flows.once(flow, "end")
        cookie = self._flows.end(flow)
        if isinstance(flow.purpose, ForBrowser):
            return SignedIn(user_id=user_id, upstream=upstream, next=flow.purpose.next, cookie=cookie)
        assert isinstance(flow.purpose, ForClient)
        token = await self._logins.make_login_token(user_id, lifetime_ms=LOGIN_TOKEN_MS)
        await self._sessions.remember(token, user_id, upstream)
        url = clients.with_login_token(flow.purpose.redirect_url, token)
        return GoOn(url=url, cookie=cookie)

    def _opened(self, sealed: str, kind: type[K], cookies: dict[str, str]) -> K:
        """What a form has brought back, if it was given to this browser; raises BadRequest."""
        opened = self._seals.open(sealed, kind)
        if opened is None:
            raise BadRequest("The form is not one of this server's; start again")
        self._flows.find(opened.flow.id, cookies, provider=opened.flow.provider)
        return opened


def _url(flow: Flow) -> str:
    """Where a client waits; empty where none does."""
    return flow.purpose.redirect_url if isinstance(flow.purpose, ForClient) else ""


def _client(flow: Flow) -> str:
    url = _url(flow)
    return clients.shown(url) if url else ""
