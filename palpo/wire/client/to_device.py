"""Messages to devices (spec: client-server API, "Send-to-Device messaging")."""

from __future__ import annotations

from palpo.wire.endpoint import KIB, Auth, Body, Empty, Endpoint, Json, Limit, Params, client


class SendToDeviceParams(Params, frozen=True):
    """What is sent, and the request's own ID."""

    event_type: str
    txn_id: str


class ToDeviceMessages(Body, frozen=True):
    """User ID → device ID, or ``*`` → content."""

    messages: dict[str, dict[str, Json]]


send_to_device: Endpoint[SendToDeviceParams, ToDeviceMessages, Empty] = Endpoint(
    operation_id="sendToDevice",
    method="PUT",
    paths=client("/sendToDevice/{event_type}/{txn_id}"),
    auth=Auth.GUEST,
    limit=Limit.DEFAULT,
    params=SendToDeviceParams,
    body=ToDeviceMessages,
    max_body=2048 * KIB,
)
