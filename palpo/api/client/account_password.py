"""Changing the password."""

from palpo.api.call import Call, Handlers
from palpo.api.interactive_auth import authorise, refuse_oauth, repeatable
from palpo.core.errors import Forbidden, MissingToken
from palpo.core.identifiers import UserId
from palpo.services.accounts.registration_stages import EMAIL
from palpo.services.accounts.threepids import RESET_PASSWORD, auth_failed
from palpo.services.accounts.user_interactive_auth import PASSWORD
from palpo.wire.client import account_password as wire
from palpo.wire.endpoint import NoParams

handlers = Handlers()


@handlers.serves(wire.change_password)
@repeatable
async def change_password(call: Call, params: NoParams, body: wire.ChangePassword) -> None:
    """POST /account/password: by the old one, or by an address of the account."""
    if not call.services.server.config.passwords_enabled:
        raise Forbidden("Passwords are not changed here")
    if call.caller is not None and call.caller.is_guest:
        raise Forbidden("Guests have no password", errcode="M_GUEST_ACCESS_FORBIDDEN")
    call.services.accounts.registration.check_password(body.new_password)
    if call.caller is not None:
        await refuse_oauth(call)
    flows = [(PASSWORD,)] if call.caller is not None else []
    if call.services.accounts.threepids.enabled:
        flows.append((EMAIL,))
    if not flows:
        raise MissingToken("Missing access token")
    uia_session = await authorise(call, body.auth, flows=flows)
    await call.services.accounts.accounts.set_password(
        await _whose(call, uia_session),
        body.new_password,
        log_out=body.logout_devices is not False,
        keep_device=call.caller.device_id if call.caller is not None else None,
    )


async def _whose(call: Call, uia_session: str) -> UserId:
    """The caller, or else whose account has the address that was shown; raises Forbidden."""
    threepids = call.services.accounts.threepids
    proven = await threepids.proven(uia_session, RESET_PASSWORD)
    if call.caller is not None:
        return call.caller.user_id
    user_id = None if proven is None else await threepids.owner(proven.medium, proven.address)
    if user_id is None:
        raise auth_failed()
    return user_id
