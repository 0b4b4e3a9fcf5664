"""Messages to devices (spec: client-server API, "Send-to-Device messaging")."""

from __future__ import annotations

import msgspec

from palpo.wire.endpoint import KIB, Auth, Body, Endpoint, Json, Limit, Params, client


class SendToDeviceParams(Params, frozen=True):
    """What is sent, and the request's own ID."""

    event_type: str
    txn_id: str


class ToDeviceMessages(Body, frozen=True):
    """User ID → device ID, or ``*`` → content: for each user a DeviceMessages."""

    messages: dict[str, msgspec.Raw]


DeviceMessages = dict[str, Json]
"""Device ID, or ``*`` → content."""


send_to_device: Endpoint[SendToDeviceParams, ToDeviceMessages, None] = Endpoint(
    operation_id="sendToDevice",
    method="PUT",
    paths=client("/sendToDevice/{event_type}/{txn_id}"),
    auth=Auth.GUEST,
    limit=Limit.TO_DEVICE,
    params=SendToDeviceParams,
    body=ToDeviceMessages,
    max_body=1024 * KIB,
)
