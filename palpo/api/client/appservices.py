"""What application services may ask for."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.wire.client import appservices as wire

handlers = Handlers()

MAX_TRANSACTION_ID = 1024
"""Characters of a ping's transaction ID."""


@handlers.serves(wire.ping_appservice)
async def ping_appservice(call: Call, params: wire.PingParams, body: wire.Ping) -> wire.Pinged:
    """POST /appservice/{appserviceId}/ping."""
    if body.transaction_id is not None and len(body.transaction_id) > MAX_TRANSACTION_ID:
        raise InvalidParam(f"A transaction ID has at most {MAX_TRANSACTION_ID} characters")
    duration = await call.services.appservices.appservice_queries.ping(
        params.appservice_id, call.requester.appservice_id, body.transaction_id
    )
    return wire.Pinged(duration_ms=duration)
