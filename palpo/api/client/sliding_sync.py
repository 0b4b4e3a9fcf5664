"""Simplified sliding sync (MSC4186)."""

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.sync.sliding.config import parse_request
from palpo.wire.client import sliding_sync as wire

PRESENCES = ("offline", "online", "unavailable")

handlers = Handlers()
NEW_CONNECTION = 1
"""What a request costs more that begins anew."""


@handlers.serves(wire.sliding_sync)
async def sliding_sync(
    call: Call, params: wire.SlidingSyncParams, body: wire.SlidingSyncBody
) -> wire.SlidingSyncResponse:
    """POST /sync: also says that the user is there."""
    services, requester = call.services, call.requester
    if params.pos is None:
        call.charge(NEW_CONNECTION)
    request = await parse_request(requester.user_id, params, body)
    set_presence = params.set_presence or body.set_presence
    if set_presence is not None and set_presence not in PRESENCES:
        raise InvalidParam("There is no such presence")
    await services.personal.presence.syncing(requester, set_presence, request.timeout_ms)
    return await services.sync.sliding.sync(requester, request)
