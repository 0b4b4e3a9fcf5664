"""Read receipts and read markers (spec: client-server API, "Receipts", "Fully read markers")."""

from __future__ import annotations

import msgspec

from palpo.core.identifiers import EventId, RoomId
from palpo.wire.endpoint import Body, Endpoint, Json, Limit, Params, RoomParams, client


class ReceiptParams(Params, frozen=True):
    """What has been read, in the path."""

    room_id: RoomId
    receipt_type: str
    event_id: EventId


class Markers(Body, frozen=True):
    """How far the user has read, by event ID."""

    fully_read: EventId | None = msgspec.field(name="m.fully_read", default=None)
    read: EventId | None = msgspec.field(name="m.read", default=None)
    private: EventId | None = msgspec.field(name="m.read.private", default=None)


post_receipt: Endpoint[ReceiptParams, Json, None] = Endpoint(
    operation_id="postReceipt",
    method="POST",
    paths=client("/rooms/{room_id}/receipt/{receipt_type}/{event_id}"),
    limit=Limit.EPHEMERAL,
    params=ReceiptParams,
    body=Json,
)

set_read_marker: Endpoint[RoomParams, Markers, None] = Endpoint(
    operation_id="setReadMarker",
    method="POST",
    paths=client("/rooms/{room_id}/read_markers"),
    limit=Limit.EPHEMERAL,
    params=RoomParams,
    body=Markers,
)
