"""MatrixRTC."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import rtc as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.get_transports)
async def get_transports(call: Call, params: NoParams, body: NoBody) -> wire.Transports:
    """GET /rtc/transports (MSC4143)."""
    return wire.Transports(rtc_transports=call.services.server.config.rtc.transports)
