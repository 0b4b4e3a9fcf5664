"""Sending events (spec: client-server API, "Sending events to a room" and "Redactions")."""

import msgspec

from palpo.wire.endpoint import Auth, Endpoint, EventParams, Json, Limit, Response, RoomParams, client


class SendParams(RoomParams, frozen=True):
    """Where a message event goes."""

    event_type: str
    txn_id: str
    ts: int | None = None
    """The event's time, milliseconds since the Unix epoch; heeded from application services."""
    delay: int | None = msgspec.field(name="org.matrix.msc4140.delay", default=None)
    """Milliseconds after which it is sent (MSC4140)."""


class RedactParams(EventParams, frozen=True):
    """Which event is redacted."""

    txn_id: str


class Sent(Response, frozen=True):
    """The event that was made."""

    event_id: str


send_message: Endpoint[SendParams, Json, Sent] = Endpoint(
    operation_id="sendMessage",
    method="PUT",
    paths=client("/rooms/{room_id}/send/{event_type}/{txn_id}"),
    auth=Auth.GUEST,
    limit=Limit.MESSAGE,
    params=SendParams,
    body=Json,
    response=Sent,
)

redact_event: Endpoint[RedactParams, Json, Sent] = Endpoint(
    operation_id="redactEvent",
    method="PUT",
    paths=client("/rooms/{room_id}/redact/{event_id}/{txn_id}"),
    limit=Limit.MESSAGE,
    params=RedactParams,
    body=Json,
    response=Sent,
)
