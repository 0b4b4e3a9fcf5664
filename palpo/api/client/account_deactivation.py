"""Ending an account."""

from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise
from palpo.wire.client import account_deactivation as wire
from palpo.wire.endpoint import NoParams

handlers = Handlers()


@handlers.serves(wire.deactivate_account)
async def deactivate_account(call: Call, params: NoParams, body: wire.Deactivate) -> wire.Deactivated:
    """POST /account/deactivate. No account has third-party identifiers that could fail to unbind."""
    await authorise(call, body.auth)
    await call.services.accounts.deactivate(call.user_id, erase=bool(body.erase))
    return wire.Deactivated(id_server_unbind_result="success")
