"""Ending an account."""

from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise, repeatable
from palpo.wire.client import account_deactivation as wire
from palpo.wire.endpoint import NoParams

handlers = Handlers()


@handlers.serves(wire.deactivate_account)
@repeatable
async def deactivate_account(call: Call, params: NoParams, body: wire.Deactivate) -> wire.Deactivated:
    """POST /account/deactivate."""
    await authorise(call, body.auth)
    unbound = await call.services.accounts.identity_servers.unbind_all(call.user_id, body.id_server)
    await call.services.accounts.accounts.deactivate(call.user_id, erase=bool(body.erase))
    return wire.Deactivated(id_server_unbind_result="success" if unbound else "no-support")
