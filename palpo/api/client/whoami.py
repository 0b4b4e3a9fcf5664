"""Who an access token belongs to."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import whoami as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.get_token_owner)
async def get_token_owner(call: Call, params: NoParams, body: NoBody) -> wire.WhoAmI:
    """GET /account/whoami."""
    requester = call.requester
    return wire.WhoAmI(user_id=requester.user_id, device_id=requester.device_id, is_guest=requester.is_guest)
