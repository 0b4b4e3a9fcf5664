"""Read receipts and read markers (spec: client-server API, "Receipts", "Fully read markers")."""

from __future__ import annotations

import msgspec

from palpo.wire.endpoint import Auth, Body, Empty, Endpoint, Json, Limit, Params, client


class ReceiptParams(Params, frozen=True):
    """What has been read, in the path."""

    room_id: str
    receipt_type: str
    event_id: str


class Room(Params, frozen=True):
    """A room, in the path."""

    room_id: str


class Markers(Body, frozen=True):
    """How far the user has read, by event ID."""

    fully_read: str | None = msgspec.field(name="m.fully_read", default=None)
    read: str | None = msgspec.field(name="m.read", default=None)
    private: str | None = msgspec.field(name="m.read.private", default=None)


post_receipt: Endpoint[ReceiptParams, Json, Empty] = Endpoint(
    operation_id="postReceipt",
    method="POST",
    paths=client("/rooms/{room_id}/receipt/{receipt_type}/{event_id}"),
    auth=Auth.ACCESS_TOKEN,
    limit=Limit.EPHEMERAL,
    params=ReceiptParams,
    body=Json,
)

set_read_marker: Endpoint[Room, Markers, Empty] = Endpoint(
    operation_id="setReadMarker",
    method="POST",
    paths=client("/rooms/{room_id}/read_markers"),
    auth=Auth.ACCESS_TOKEN,
    limit=Limit.EPHEMERAL,
    params=Room,
    body=Markers,
)
