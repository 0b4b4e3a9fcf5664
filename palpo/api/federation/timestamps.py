"""Events near a time, that other servers ask for."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import EventId
from palpo.wire.endpoint import NoBody
from palpo.wire.federation import timestamps as wire

handlers = Handlers()


@handlers.serves(wire.get_event_by_timestamp)
async def get_event_by_timestamp(call: Call, params: wire.TimestampQuery, body: NoBody) -> wire.NearestEvent:
    """GET /timestamp_to_event/{roomId}."""
    if not -(2**53) < params.ts < 2**53:
        raise InvalidParam("The time is out of range")
    event = await call.services.federation.served_timestamps.near(
        call.origin, params.room_id, params.ts, backwards=params.dir == "b"
    )
    return wire.NearestEvent(event_id=EventId(event.event_id), origin_server_ts=event.origin_server_ts)
