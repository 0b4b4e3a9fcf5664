"""Read receipts and read markers (spec: client-server API, "Receipts", "Fully read markers")."""

from __future__ import annotations

import msgspec

from palpo.core.identifiers import EventId
from palpo.wire.endpoint import Body, Endpoint, EventParams, Json, Limit, RoomParams, client


class ReceiptParams(EventParams, frozen=True):
    """What has been read, in the path."""

    receipt_type: str


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
