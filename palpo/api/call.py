"""What a handler is given, and what it may give back beside a plain response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from palpo.api.bodies import Body
from palpo.api.limits import Limiter, origin
from palpo.api.services import Services
from palpo.config.sections.limits import RateLimit
from palpo.core.errors import MissingToken, Unauthorized
from palpo.core.identifiers import ServerName, UserId
from palpo.services.accounts.sessions import Requester
from palpo.wire.endpoint import B, Endpoint, Limit, P, R

Chunks = AsyncIterator[bytes]
AUTHORIZATION = b"authorization"
COOKIE = b"cookie"


@dataclass(slots=True, kw_only=True)
class Call:
    """One request on its way through a handler."""

    services: Services
    endpoint: Endpoint[Any, Any, Any]
    request_id: str
    caller: Requester | None
    """Who calls; None where the endpoint asks for no token and none was given."""
    client_address: str
    headers: Mapping[str, str]
    """By lower-case name; of a repeated header, the last."""
    header_lines: Sequence[tuple[bytes, bytes]]
    """All of them, as they came."""
    raw_path: str
    query: str
    body: bytes
    """The whole body of a JSON endpoint; empty where the endpoint takes a stream."""
    method: str
    incoming: Body

    @property
    def authorizations(self) -> list[str]:
        """The values of all ``Authorization`` headers, of which servers may send several."""
        return [value.decode("latin-1") for name, value in self.header_lines if name.lower() == AUTHORIZATION]

    @property
    def cookies(self) -> str:
        """All cookies, as one header has them: browsers send several by HTTP/2 (RFC 9113, 8.2.3)."""
        return "; ".join(
            value.decode("latin-1") for name, value in self.header_lines if name.lower() == COOKIE
        )

    @property
    def stream(self) -> Chunks:
        """The body of an endpoint that takes bytes: no more than ``endpoint.max_body`` of them."""
        return self.incoming.chunks()

    limiter: Limiter
    server: ServerName | None = None
    """The server that calls, where the endpoint is for servers: it has signed the request."""

    @property
    def origin(self) -> ServerName:
        """The server that calls; raises Unauthorized where none proved to."""
        if self.server is None:
            raise Unauthorized("The request is not signed by a server")
        return self.server

    @property
    def requester(self) -> Requester:
        """Who calls; raises MissingToken where nobody proved to."""
        if self.caller is None:
            raise MissingToken("Missing access token")
        return self.caller

    @property
    def charged_to(self) -> str | None:
        """Whose budgets the call is charged to: a user's, a server's, or an address's; None for nobody's."""
        if self.server is not None:
            return self.server
        if self.caller is None:
            return origin(self.client_address)
        return self.caller.user_id if self.caller.rate_limited else None

    @property
    def own_limit(self) -> RateLimit | None:
        """What the caller may do in place of what the configuration says."""
        return None if self.caller is None else self.caller.rate_limit

    def charge(self, cost: float = 1, limit: Limit | None = None) -> None:
        """Take so much more from a budget, the endpoint's for None; raises LimitExceeded."""
        if (whose := self.charged_to) is not None:
            self.limiter.charge(
                self.endpoint.limit if limit is None else limit, whose, cost, own=self.own_limit
            )

    def debit(self, cost: float, limit: Limit | None = None) -> None:
        """As ``charge``, for what has been done, and so cannot be refused any more."""
        if (whose := self.charged_to) is not None:
            self.limiter.debit(
                self.endpoint.limit if limit is None else limit, whose, cost, own=self.own_limit
            )

    def check_budget(self, limit: Limit) -> None:
        """Raise LimitExceeded where there is nothing left of a budget, and take nothing."""
        if (whose := self.charged_to) is not None:
            self.limiter.check(limit, whose, own=self.own_limit)

    @property
    def user_id(self) -> UserId:
        """The requester's user ID."""
        return self.requester.user_id

    @property
    def user_agent(self) -> str | None:
        """The client's name for itself."""
        return self.headers.get("user-agent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A response that is not simply 200 and JSON."""

    body: bytes | Chunks = b""
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Sequence[str] = ()
    """The values of ``Set-Cookie``, of which there may be several."""


Handler = Callable[[Call, P, B], Awaitable[R | Reply]]
AnyHandler = Callable[[Call, Any, Any], Awaitable[Any]]


class Handlers:
    """A module's handlers, by the endpoint that each serves."""

    def __init__(self) -> None:
        self.table: list[tuple[Endpoint[Any, Any, Any], AnyHandler]] = []

    def serves(self, endpoint: Endpoint[P, B, R]) -> Callable[[Handler[P, B, R]], Handler[P, B, R]]:
        """Register a handler; its types are held to the endpoint's declaration."""

        def register(handler: Handler[P, B, R]) -> Handler[P, B, R]:
            self.table.append((endpoint, handler))
            return handler

        return register
