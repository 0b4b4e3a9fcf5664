"""Events that other servers ask for."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Raw

from palpo.api.call import Call, Handlers, Reply
from palpo.api.federation.pdu_streams import streamed
from palpo.core.errors import InvalidParam
from palpo.wire.endpoint import EventParams, NoBody, RoomParams
from palpo.wire.federation import events as wire

handlers = Handlers()


@handlers.serves(wire.get_event)
async def get_event(call: Call, params: wire.OneEvent, body: NoBody) -> wire.Pdus:
    """GET /event/{eventId}."""
    return _pdus(call, [await call.services.federation.served_events.one(call.origin, params.event_id)])


@handlers.serves(wire.get_event_auth)
async def get_event_auth(call: Call, params: EventParams, body: NoBody) -> Reply:
    """GET /event_auth/{roomId}/{eventId}."""
    served = call.services.federation.served_state
    chain = await served.auth_chain(call.origin, params.room_id, params.event_id)
    return streamed(call, {"auth_chain": served.pdus(chain)})


@handlers.serves(wire.backfill_room)
async def backfill_room(call: Call, params: wire.Backfill, body: NoBody) -> wire.Pdus:
    """GET /backfill/{roomId}."""
    if params.limit < 0:
        raise InvalidParam("limit is negative")
    served = call.services.federation.served_events
    return _pdus(call, await served.backfill(call.origin, params.room_id, params.v, params.limit))


@handlers.serves(wire.get_missing_events)
async def get_missing_events(call: Call, params: RoomParams, body: wire.MissingEvents) -> wire.Missing:
    """POST /get_missing_events/{roomId}."""
    found = await call.services.federation.served_events.missing(
        call.origin,
        params.room_id,
        earliest=body.earliest_events,
        latest=body.latest_events,
        limit=body.limit,
        min_depth=body.min_depth,
    )
    return wire.Missing(events=[Raw(pdu) for pdu in found])


def _pdus(call: Call, pdus: Sequence[bytes]) -> wire.Pdus:
    server = call.services.server
    return wire.Pdus(
        origin=server.name,
        origin_server_ts=server.clock.now_ms(),
        pdus=[Raw(pdu) for pdu in pdus],
    )
