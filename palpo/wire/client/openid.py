"""OpenID tokens (spec: client-server API, "OpenID")."""

from __future__ import annotations

from palpo.wire.endpoint import Endpoint, Json, Limit, Response, UserParams, client


class OpenIdToken(Response, frozen=True):
    """A token; ``expires_in`` is in seconds."""

    access_token: str
    token_type: str
    matrix_server_name: str
    expires_in: int


request_openid_token: Endpoint[UserParams, Json, OpenIdToken] = Endpoint(
    operation_id="requestOpenIdToken",
    method="POST",
    paths=client("/user/{user_id}/openid/request_token"),
    limit=Limit.SETTINGS,
    params=UserParams,
    body=Json,
    response=OpenIdToken,
)
