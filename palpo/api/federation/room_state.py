"""Rooms' states that other servers ask for."""

from __future__ import annotations

from palpo.api.call import Call, Handlers, Reply
from palpo.api.federation.pdu_streams import streamed
from palpo.wire.endpoint import NoBody
from palpo.wire.federation import room_state as wire

handlers = Handlers()


@handlers.serves(wire.get_room_state)
async def get_room_state(call: Call, params: wire.StateParams, body: NoBody) -> Reply:
    """GET /state/{roomId}."""
    served = call.services.federation.served_state
    found = await served.before(call.origin, params.room_id, params.event_id)
    return streamed(call, {"pdus": served.pdus(found.state), "auth_chain": served.pdus(found.auth_chain)})


@handlers.serves(wire.get_room_state_ids)
async def get_room_state_ids(call: Call, params: wire.StateParams, body: NoBody) -> wire.StateIds:
    """GET /state_ids/{roomId}."""
    found = await call.services.federation.served_state.before(call.origin, params.room_id, params.event_id)
    return wire.StateIds(pdu_ids=list(found.state), auth_chain_ids=list(found.auth_chain))
