"""OpenID tokens (spec: client-server API, "OpenID")."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Endpoint, Json, Limit, Params, Response, client


class User(Params, frozen=True):
    """A user, in the path."""

    user_id: str


class OpenIdToken(Response, frozen=True):
    """A token; ``expires_in`` is in seconds."""

    access_token: str
    token_type: str
    matrix_server_name: str
    expires_in: int


request_openid_token: Endpoint[User, Json, OpenIdToken] = Endpoint(
    operation_id="requestOpenIdToken",
    method="POST",
    paths=client("/user/{user_id}/openid/request_token"),
    auth=Auth.ACCESS_TOKEN,
    limit=Limit.SETTINGS,
    params=User,
    body=Json,
    response=OpenIdToken,
)
