"""What relates to an event, for other servers (MSC2836)."""

from __future__ import annotations

from palpo.api.call import Call, Handlers, Reply
from palpo.api.client.event_relationships import walk_of
from palpo.api.codec import encode
from palpo.api.federation.pdu_streams import streamed
from palpo.wire.client.event_relationships import EventRelationshipsRequest
from palpo.wire.endpoint import NoParams
from palpo.wire.federation import event_relationships as wire

handlers = Handlers()


@handlers.serves(wire.get_federated_event_relationships)
async def get_federated_event_relationships(
    call: Call, params: NoParams, body: EventRelationshipsRequest
) -> Reply:
    """POST /unstable/event_relationships."""
    federation = call.services.federation
    found = await federation.served_relationships.walk(call.origin, walk_of(body))
    pdus = federation.served_state.pdus
    return streamed(
        call,
        {"events": pdus(found.events), "auth_chain": pdus(found.auth_chain)},
        encode({"limited": found.limited}),
    )
