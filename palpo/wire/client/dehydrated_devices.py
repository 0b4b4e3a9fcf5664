"""Dehydrated devices (MSC3814)."""

from __future__ import annotations

import msgspec

from palpo.wire.endpoint import Body, Endpoint, Json, Limit, NoBody, NoParams, Params, Response, draft

PATHS = draft("/dehydrated_device", "org.matrix.msc3814.v1")


class NewDehydratedDevice(Body, frozen=True):
    """Body of PUT /dehydrated_device: the device, and keys as in /keys/upload."""

    device_id: str
    device_data: Json
    device_keys: Json
    one_time_keys: Json | None = None
    fallback_keys: Json | None = None
    initial_device_display_name: str | None = None


class DehydratedDeviceId(Response, frozen=True):
    """Which device was stored or deleted."""

    device_id: str


class StoredDehydratedDevice(Response, frozen=True):
    """The dehydrated device."""

    device_id: str
    device_data: msgspec.Raw


class EventsParams(Params, frozen=True):
    """Which device, and from where on."""

    device_id: str
    next_batch: str | None = None


class EventsBodyParams(Params, frozen=True):
    """Which device."""

    device_id: str


class EventsRequest(Body, frozen=True):
    """Body of POST /dehydrated_device/{deviceId}/events, as the proposal once had it."""

    next_batch: str | None = None


class DehydratedEvents(Response, frozen=True):
    """Messages to the device; none once all were fetched."""

    events: list[msgspec.Raw]
    next_batch: str


put_dehydrated_device: Endpoint[NoParams, NewDehydratedDevice, DehydratedDeviceId] = Endpoint(
    operation_id="msc3814.putDehydratedDevice",
    method="PUT",
    paths=PATHS,
    limit=Limit.SETTINGS,
    body=NewDehydratedDevice,
    response=DehydratedDeviceId,
)

get_dehydrated_device: Endpoint[NoParams, NoBody, StoredDehydratedDevice] = Endpoint(
    operation_id="msc3814.getDehydratedDevice",
    method="GET",
    paths=PATHS,
    response=StoredDehydratedDevice,
)

delete_dehydrated_device: Endpoint[NoParams, NoBody, DehydratedDeviceId] = Endpoint(
    operation_id="msc3814.deleteDehydratedDevice",
    method="DELETE",
    paths=PATHS,
    limit=Limit.SETTINGS,
    response=DehydratedDeviceId,
)

EVENTS_PATHS = draft("/dehydrated_device/{device_id}/events", "org.matrix.msc3814.v1")

get_dehydrated_events: Endpoint[EventsParams, NoBody, DehydratedEvents] = Endpoint(
    operation_id="msc3814.getDehydratedDeviceEvents",
    method="GET",
    paths=EVENTS_PATHS,
    params=EventsParams,
    response=DehydratedEvents,
)

post_dehydrated_events: Endpoint[EventsBodyParams, EventsRequest, DehydratedEvents] = Endpoint(
    operation_id="msc3814.postDehydratedDeviceEvents",
    method="POST",
    paths=EVENTS_PATHS,
    params=EventsBodyParams,
    body=EventsRequest,
    response=DehydratedEvents,
)
