"""What relates to an event, over several steps, as servers ask each other for it (MSC2836)."""

from __future__ import annotations

from msgspec import Raw

from palpo.wire.client.event_relationships import EventRelationshipsRequest
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoParams, Response, federation


class FederatedRelationships(Response, frozen=True):
    """The events, what they rest on, and whether there are more than the limit."""

    events: list[Raw]
    limited: bool
    auth_chain: list[Raw]


get_federated_event_relationships: Endpoint[NoParams, EventRelationshipsRequest, FederatedRelationships] = (
    Endpoint(
        operation_id="msc2836.federated_event_relationships",
        method="POST",
        paths=federation("/event_relationships", "unstable"),
        auth=Auth.SERVER,
        limit=Limit.FEDERATION,
        body=EventRelationshipsRequest,
        response=FederatedRelationships,
        api="server-server",
        large_answer=True,
    )
)
