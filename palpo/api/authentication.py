"""From a request's credentials to its requester, as the endpoint's auth scheme asks."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qs

from palpo.api.call import Call
from palpo.config.appservices import Registration
from palpo.core.errors import Forbidden, MissingToken, UnknownToken
from palpo.core.identifiers import UserId
from palpo.services.accounts.appservices import AppServices
from palpo.services.accounts.last_seen import LastSeen
from palpo.services.accounts.sessions import Requester, Sessions
from palpo.wire.endpoint import Auth, Limit

DELEGATE = "MAS"
"""By what name Matrix Authentication Service is told in logs: new users have names in lower case."""


class Authenticator:
    """Checks access tokens (spec: "Using access tokens")."""

    def __init__(self, sessions: Sessions, appservices: AppServices, last_seen: LastSeen) -> None:
        self._sessions = sessions
        self._appservices = appservices
        self._last_seen = last_seen

    async def authenticate(self, call: Call) -> Requester | None:
        """Who sends ``call``, None where its endpoint wants nobody in particular.

        Raises MissingToken, UnknownToken, Forbidden; M_USER_LOCKED (401) for a locked account, and
        M_USER_SUSPENDED (403) for a suspended one, where the endpoint says so.
        """
        auth = call.endpoint.auth
        if auth is Auth.NONE:
            return None
        if auth is Auth.DELEGATE:
            return require_delegate(call)
        token = access_token(call)
        if token is None:
            if auth is Auth.OPTIONAL:
                return None
            raise MissingToken("Missing access token")
        appservice = self._appservices.by_token(token)
        if appservice is None:
            requester = await self._sessions.authenticate(token)
        else:
            requester = await self._appservices.act_as(appservice, *_asserted(call))
        call.endpoint.admit(requester)
        if auth is Auth.APPSERVICE and requester.appservice_id is None:
            raise Forbidden("Only application services may do this")
        self._last_seen.note(requester, call.client_address, call.user_agent)
        return requester


def access_token(call: Call) -> str | None:
    """The access token in the ``Authorization`` header, else in the query string."""
    header = call.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() == "bearer" and token.strip():
            return token.strip()
        return None
    if "access_token" not in call.query:
        return None
    return parse_qs(call.query).get("access_token", [None])[-1]


def require_appservice(call: Call) -> Registration:
    """The application service whose token a call carries; raises MissingToken, UnknownToken."""
    token = access_token(call)
    if token is None:
        raise MissingToken("Missing access token")
    registration = call.services.accounts.appservices.by_token(token)
    if registration is None:
        raise UnknownToken("The access token is not an application service's")
    return registration


def require_delegate(call: Call) -> Requester:
    """Matrix Authentication Service, by the secret that it shares with this server.

    It is nobody's user, and nothing is charged to it. Raises MissingToken; Forbidden, and LimitExceeded for
    who guesses.
    """
    server = call.services.server
    token, secret = access_token(call), server.config.oauth.delegation.secret
    if token is None:
        raise MissingToken("Missing access token")
    if not secret or not hmac.compare_digest(token.encode(), secret.encode()):
        call.charge(limit=Limit.ATTEMPT)
        raise Forbidden("That is not the secret that is shared with this server")
    return Requester(user_id=UserId(f"@{DELEGATE}:{server.name}"), rate_limited=False)


def _asserted(call: Call) -> tuple[str | None, str | None]:
    """The user and the device that an application service says it is ("Identity assertion"; MSC4326)."""
    if "user_id" not in call.query and "device_id" not in call.query:
        return None, None
    query = parse_qs(call.query)
    devices = query.get("device_id") or query.get("org.matrix.msc3202.device_id")
    return query.get("user_id", [None])[-1], devices[-1] if devices else None
