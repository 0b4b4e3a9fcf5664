"""Logging out."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import logout as wire
from palpo.wire.endpoint import Empty, NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.logout)
async def logout(call: Call, params: NoParams, body: NoBody) -> Empty:
    """POST /logout."""
    await call.services.accounts.logins.log_out(call.requester)
    return Empty()


@handlers.serves(wire.logout_all)
async def logout_all(call: Call, params: NoParams, body: NoBody) -> Empty:
    """POST /logout/all."""
    await call.services.accounts.logins.log_out_everywhere(call.user_id)
    return Empty()
