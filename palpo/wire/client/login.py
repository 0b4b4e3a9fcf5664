"""Logging in (spec: client-server API, "Login", "Refreshing access tokens"; login tokens)."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoBody, NoParams, Response, client


class IdentityProvider(Response, frozen=True):
    """Somebody at whom users sign on (spec: "Client login via SSO")."""

    id: str
    name: str
    icon: str | None = None
    brand: str | None = None


class LoginFlow(Response, frozen=True):
    """A way to log in."""

    type: str
    get_login_token: bool = False
    identity_providers: list[IdentityProvider] | None = None
    oauth_aware_preferred: bool = False
    """Of ``m.login.sso``: clients that know of OAuth 2.0, and do not speak it, offer nothing else."""


class LoginFlows(Response, frozen=True):
    """The ways to log in."""

    flows: list[LoginFlow]


class Identifier(msgspec.Struct, frozen=True):
    """Who logs in (spec: "Identifier types")."""

    type: str | None = None
    user: str | None = None
    medium: str | None = None
    address: str | None = None


class Identified(Body, frozen=True):
    """Who logs in; ``user``, and ``medium`` with ``address``, are deprecated for ``identifier``."""

    identifier: Identifier | None = None
    user: str | None = None
    medium: str | None = None
    address: str | None = None


class Login(Identified, frozen=True, kw_only=True):
    """Body of /login."""

    type: str
    password: str | None = None
    token: str | None = None
    device_id: str | None = None
    initial_device_display_name: str | None = None
    refresh_token: bool | None = None


class BaseUrl(Response, frozen=True):
    """Where a server is reached."""

    base_url: str


class WellKnown(Response, frozen=True):
    """What a client should know of its server, as in ``.well-known``."""

    homeserver: BaseUrl = msgspec.field(name="m.homeserver")


class LoggedIn(Response, frozen=True):
    """A new session."""

    user_id: str
    access_token: str
    device_id: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None
    home_server: str | None = None
    well_known: WellKnown | None = None


class LoginTokenBody(Body, frozen=True):
    """Body of /login/get_token."""

    auth: dict[str, Any] | None = None


class LoginToken(Response, frozen=True):
    """A token for one login by ``m.login.token``."""

    login_token: str
    expires_in_ms: int


class Refresh(Body, frozen=True):
    """Body of /refresh."""

    refresh_token: str


class Refreshed(Response, frozen=True):
    """New tokens of the same device."""

    access_token: str
    refresh_token: str | None = None
    expires_in_ms: int | None = None


get_login_flows: Endpoint[NoParams, NoBody, LoginFlows] = Endpoint(
    operation_id="getLoginFlows",
    method="GET",
    paths=client("/login"),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=LoginFlows,
)

login: Endpoint[NoParams, Login, LoggedIn] = Endpoint(
    operation_id="login",
    method="POST",
    paths=client("/login"),
    auth=Auth.NONE,
    limit=Limit.LOGIN,
    body=Login,
    response=LoggedIn,
)

generate_login_token: Endpoint[NoParams, LoginTokenBody, LoginToken] = Endpoint(
    operation_id="generateLoginToken",
    method="POST",
    paths=client("/login/get_token", "v1", unstable=("org.matrix.msc3882",)),
    limit=Limit.LOGIN,
    body=LoginTokenBody,
    response=LoginToken,
)

refresh: Endpoint[NoParams, Refresh, Refreshed] = Endpoint(
    operation_id="refresh",
    method="POST",
    paths=client("/refresh"),
    auth=Auth.NONE,
    body=Refresh,
    response=Refreshed,
)
