"""Devices of users, for administrators (Synapse's "User Admin API")."""

from __future__ import annotations

from palpo.core.identifiers import UserId
from palpo.wire.admin.common import admin
from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, Params, Response, UserParams


class DeviceParams(Params, frozen=True):
    """A user's device."""

    user_id: UserId
    device_id: str


class Device(Response, frozen=True):
    """A device; ``last_seen_ts`` in milliseconds since the Unix epoch."""

    user_id: str
    device_id: str
    display_name: str | None
    last_seen_user_agent: str | None
    last_seen_ts: int | None
    last_seen_ip: str | None
    dehydrated: bool


class Devices(Response, frozen=True):
    """All of a user's."""

    devices: list[Device]
    total: int


class NewDevice(Body, frozen=True):
    """A device that is to be made."""

    device_id: str


class DeviceChange(Body, frozen=True):
    """The device's name; None: it stays."""

    display_name: str | None = None


class GoneDevices(Body, frozen=True):
    """Devices that are to be deleted."""

    devices: list[str]


USER, DEVICE = admin("/users/{user_id}/devices", "v2"), admin("/users/{user_id}/devices/{device_id}", "v2")

list_devices: Endpoint[UserParams, NoBody, Devices] = Endpoint(
    operation_id="synapse.listDevicesOfUser",
    method="GET",
    paths=USER,
    auth=Auth.ADMIN,
    params=UserParams,
    response=Devices,
)
create_device: Endpoint[UserParams, NewDevice, None] = Endpoint(
    operation_id="synapse.createDeviceOfUser",
    method="POST",
    paths=USER,
    auth=Auth.ADMIN,
    params=UserParams,
    body=NewDevice,
)
delete_devices: Endpoint[UserParams, GoneDevices, None] = Endpoint(
    operation_id="synapse.deleteDevicesOfUser",
    method="POST",
    paths=admin("/users/{user_id}/delete_devices", "v2"),
    auth=Auth.ADMIN,
    params=UserParams,
    body=GoneDevices,
)
get_device: Endpoint[DeviceParams, NoBody, Device] = Endpoint(
    operation_id="synapse.getDeviceOfUser",
    method="GET",
    paths=DEVICE,
    auth=Auth.ADMIN,
    params=DeviceParams,
    response=Device,
)
update_device: Endpoint[DeviceParams, DeviceChange, None] = Endpoint(
    operation_id="synapse.updateDeviceOfUser",
    method="PUT",
    paths=DEVICE,
    auth=Auth.ADMIN,
    params=DeviceParams,
    body=DeviceChange,
)
delete_device: Endpoint[DeviceParams, NoBody, None] = Endpoint(
    operation_id="synapse.deleteDeviceOfUser",
    method="DELETE",
    paths=DEVICE,
    auth=Auth.ADMIN,
    params=DeviceParams,
)
