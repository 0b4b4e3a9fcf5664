"""Managing devices (spec: client-server API, "Device Management")."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Auth, Body, Endpoint, Limit, NoBody, NoParams, Params, Response, client


class DeviceParams(Params, frozen=True):
    """Which device."""

    device_id: str


class ClientDevice(Response, frozen=True):
    """A device; ``last_seen_ts`` in milliseconds since the Unix epoch."""

    device_id: str
    display_name: str | None = None
    last_seen_ip: str | None = None
    last_seen_ts: int | None = None


class ClientDevices(Response, frozen=True):
    """Response of GET /devices."""

    devices: list[ClientDevice]


class DeviceUpdate(Body, frozen=True):
    """Body of PUT /devices/{deviceId}."""

    display_name: str | None = None


class DeviceDeletion(Body, frozen=True):
    """Body of DELETE /devices/{deviceId}."""

    auth: dict[str, Any] | None = None


class DevicesDeletion(Body, frozen=True):
    """Body of POST /delete_devices."""

    devices: list[str]
    auth: dict[str, Any] | None = None


get_devices: Endpoint[NoParams, NoBody, ClientDevices] = Endpoint(
    operation_id="getDevices",
    method="GET",
    paths=client("/devices"),
    auth=Auth.GUEST,
    response=ClientDevices,
)

get_device: Endpoint[DeviceParams, NoBody, ClientDevice] = Endpoint(
    operation_id="getDevice",
    method="GET",
    paths=client("/devices/{device_id}"),
    auth=Auth.GUEST,
    params=DeviceParams,
    response=ClientDevice,
)

update_device: Endpoint[DeviceParams, DeviceUpdate, None] = Endpoint(
    operation_id="updateDevice",
    method="PUT",
    paths=client("/devices/{device_id}"),
    auth=Auth.GUEST,
    limit=Limit.SETTINGS,
    params=DeviceParams,
    body=DeviceUpdate,
)

delete_device: Endpoint[DeviceParams, DeviceDeletion, None] = Endpoint(
    operation_id="deleteDevice",
    method="DELETE",
    paths=client("/devices/{device_id}"),
    limit=Limit.SETTINGS,
    params=DeviceParams,
    body=DeviceDeletion,
)

delete_devices: Endpoint[NoParams, DevicesDeletion, None] = Endpoint(
    operation_id="deleteDevices",
    method="POST",
    paths=client("/delete_devices"),
    limit=Limit.SETTINGS,
    body=DevicesDeletion,
)
