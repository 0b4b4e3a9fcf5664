"""OpenID tokens."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import Forbidden
from palpo.services.accounts.openid import LIFETIME_SECONDS
from palpo.wire.client import openid as wire
from palpo.wire.endpoint import Json, UserParams

handlers = Handlers()


@handlers.serves(wire.request_openid_token)
async def request_openid_token(call: Call, params: UserParams, body: Json) -> wire.OpenIdToken:
    """POST /user/{userId}/openid/request_token."""
    if params.user_id != call.user_id:
        raise Forbidden("That is not your user ID")
    return wire.OpenIdToken(
        access_token=await call.services.accounts.openid.token(call.user_id),
        token_type="Bearer",
        matrix_server_name=call.services.server.config.server_name,
        expires_in=LIFETIME_SECONDS,
    )
