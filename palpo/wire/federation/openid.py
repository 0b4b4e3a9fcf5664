"""Whose OpenID token it is (spec: server-server API, "OpenID")."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Endpoint, NoBody, Params, Response


class Token(Params, frozen=True):
    """The token, in the query."""

    access_token: str


class UserInfo(Response, frozen=True):
    """Who was given the token."""

    sub: str


exchange_openid_token: Endpoint[Token, NoBody, UserInfo] = Endpoint(
    operation_id="exchangeOpenIdToken",
    method="GET",
    paths=("/_matrix/federation/v1/openid/userinfo",),
    auth=Auth.NONE,
    params=Token,
    response=UserInfo,
    api="server-server",
)
