"""Logging out."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import logout as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.logout)
async def logout(call: Call, params: NoParams, body: NoBody) -> None:
    """POST /logout."""
    await call.services.accounts.logins.log_out(call.requester)


@handlers.serves(wire.logout_all)
async def logout_all(call: Call, params: NoParams, body: NoBody) -> None:
    """POST /logout/all."""
    await call.services.accounts.logins.log_out_everywhere(call.user_id)
