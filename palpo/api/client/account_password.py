"""Changing the password."""

from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise
from palpo.core.errors import Forbidden
from palpo.wire.client import account_password as wire
from palpo.wire.endpoint import Empty, NoParams

handlers = Handlers()


@handlers.serves(wire.change_password)
async def change_password(call: Call, params: NoParams, body: wire.ChangePassword) -> Empty:
    """POST /account/password."""
    if not call.services.config.password.enabled:
        raise Forbidden("Passwords are not changed here")
    call.services.registration.check_password(body.new_password)
    await authorise(call, body.auth)
    await call.services.accounts.set_password(
        call.user_id,
        body.new_password,
        log_out=body.logout_devices is not False,
        keep_device=call.requester.device_id,
    )
    return Empty()
