"""Whose OpenID token it is."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.wire.endpoint import NoBody
from palpo.wire.federation import openid as wire

handlers = Handlers()


@handlers.serves(wire.exchange_openid_token)
async def exchange_openid_token(call: Call, params: wire.Token, body: NoBody) -> wire.UserInfo:
    """GET /openid/userinfo."""
    return wire.UserInfo(sub=await call.services.accounts.openid.user_of(params.access_token))
