"""The OAuth 2.0 API (spec: client-server API, "OAuth 2.0 API"; RFC 6749, 7009, 7591, 7662, 8414, 8628).

Bodies are forms, or JSON whose errors are OAuth's own: handlers read them.
"""

from __future__ import annotations

import msgspec

from palpo.wire.endpoint import KIB, Auth, Endpoint, Json, Limit, NoBody, NoParams, Response, client

ROOT = "/_palpo/oauth2"
AUTHORIZE_PATH = f"{ROOT}/authorize"
TOKEN_PATH = f"{ROOT}/token"
REGISTER_PATH = f"{ROOT}/register"
REVOKE_PATH = f"{ROOT}/revoke"
INTROSPECT_PATH = f"{ROOT}/introspect"
DEVICE_AUTHORIZATION_PATH = f"{ROOT}/device_authorization"
LINK_PATH = f"{ROOT}/link"
ACCOUNT_PATH = "/_palpo/account/"
MAX_BODY = 64 * KIB


class AuthMetadata(Response, frozen=True, kw_only=True):
    """What the server's OAuth 2.0 API is like, and where it is (RFC 8414)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    registration_endpoint: str
    introspection_endpoint: str
    device_authorization_endpoint: str
    response_types_supported: tuple[str, ...]
    response_modes_supported: tuple[str, ...]
    grant_types_supported: tuple[str, ...]
    code_challenge_methods_supported: tuple[str, ...]
    prompt_values_supported: tuple[str, ...]
    scopes_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    ui_locales_supported: tuple[str, ...]
    authorization_response_iss_parameter_supported: bool
    account_management_uri: str
    account_management_actions_supported: tuple[str, ...]


class AuthIssuer(Response, frozen=True):
    """Who grants access (MSC2965, as it was)."""

    issuer: str


class TokenResponse(Response, frozen=True, kw_only=True):
    """Tokens (RFC 6749, 5.1); ``expires_in`` in seconds."""

    access_token: str
    token_type: str
    expires_in: int
    refresh_token: str
    scope: str


class DeviceAuthorization(Response, frozen=True, kw_only=True):
    """What a device shows, and asks with (RFC 8628, 3.2); times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int


class Introspection(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token stands for (RFC 7662, 2.2); times in seconds since the Unix epoch."""

    active: bool
    scope: str | None = None
    client_id: str | None = None
    username: str | None = None
    sub: str | None = None
    token_type: str | None = None
    exp: int | None = None
    device_id: str | None = None


get_auth_metadata: Endpoint[NoParams, NoBody, AuthMetadata] = Endpoint(
    operation_id="getAuthMetadata",
    method="GET",
    paths=client("/auth_metadata", "v1", unstable=("org.matrix.msc2965",)),
    auth=Auth.NONE,
    response=AuthMetadata,
)

get_server_metadata: Endpoint[NoParams, NoBody, AuthMetadata] = Endpoint(
    operation_id="palpo.getServerMetadata",
    method="GET",
    paths=("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"),
    auth=Auth.NONE,
    response=AuthMetadata,
)

get_auth_issuer: Endpoint[NoParams, NoBody, AuthIssuer] = Endpoint(
    operation_id="msc2965.getAuthIssuer",
    method="GET",
    paths=("/_matrix/client/unstable/org.matrix.msc2965/auth_issuer",),
    auth=Auth.NONE,
    response=AuthIssuer,
)

register_client: Endpoint[NoParams, NoBody, Json] = Endpoint(
    operation_id="palpo.registerOAuthClient",
    method="POST",
    paths=(REGISTER_PATH,),
    auth=Auth.NONE,
    limit=Limit.LOGIN,
    response=Json,
    max_body=MAX_BODY,
)

get_token: Endpoint[NoParams, NoBody, TokenResponse] = Endpoint(
    operation_id="palpo.getOAuthToken",
    method="POST",
    paths=(TOKEN_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=TokenResponse,
    max_body=MAX_BODY,
)

revoke_token: Endpoint[NoParams, NoBody, None] = Endpoint(
    operation_id="palpo.revokeOAuthToken",
    method="POST",
    paths=(REVOKE_PATH,),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    max_body=MAX_BODY,
)

introspect_token: Endpoint[NoParams, NoBody, Introspection] = Endpoint(
    operation_id="palpo.introspectOAuthToken",
    method="POST",
    paths=(INTROSPECT_PATH,),
    auth=Auth.ADMIN,
    response=Introspection,
    max_body=MAX_BODY,
)

authorize_device: Endpoint[NoParams, NoBody, DeviceAuthorization] = Endpoint(
    operation_id="palpo.authorizeOAuthDevice",
    method="POST",
    paths=(DEVICE_AUTHORIZATION_PATH,),
    auth=Auth.NONE,
    limit=Limit.LOGIN,
    response=DeviceAuthorization,
    max_body=MAX_BODY,
)
