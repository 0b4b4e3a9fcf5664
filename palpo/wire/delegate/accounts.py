"""What Matrix Authentication Service tells of accounts and devices (the routes that Synapse has for it).

Users are named by their localparts.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, NoParams, Params, Response

Localpart = Annotated[str, Meta(min_length=1, max_length=255)]
DeviceId = Annotated[str, Meta(min_length=1, max_length=512)]
MAX_DEVICES = 10_000
"""Devices of a user that are told of at once."""


class LocalpartParams(Params, frozen=True):
    """A user, in the query."""

    localpart: Localpart


class UserBody(Body, frozen=True):
    """A user."""

    localpart: Localpart


class DeviceBody(UserBody, frozen=True):
    """A device of a user's."""

    device_id: DeviceId


class Provision(UserBody, frozen=True, kw_only=True):
    """An account as it is to be; what is not there stays."""

    set_displayname: str | None = None
    unset_displayname: bool = False
    set_avatar_url: str | None = None
    unset_avatar_url: bool = False
    set_emails: Annotated[list[str], Meta(max_length=100)] | None = None
    unset_emails: bool = False
    locked: bool | None = None


class DeviceUpsert(DeviceBody, frozen=True, kw_only=True):
    """A device that is to be there."""

    display_name: str | None = None


class DeviceName(DeviceBody, frozen=True, kw_only=True):
    """A device's new name."""

    display_name: str


class DeviceList(UserBody, frozen=True, kw_only=True):
    """All devices that a user has."""

    devices: Annotated[list[DeviceId], Meta(max_length=MAX_DEVICES)]


class Deletion(UserBody, frozen=True, kw_only=True):
    """A user who is no more; ``erase``: nor what they have written, to those who come later."""

    erase: bool = False


class DisplayName(UserBody, frozen=True, kw_only=True):
    """A user's new name."""

    displayname: str


class DelegatedUser(Response, frozen=True, kw_only=True):
    """What this server knows of a user."""

    user_id: str
    display_name: str | None
    avatar_url: str | None
    is_suspended: bool
    is_deactivated: bool


def _path(name: str) -> tuple[str, ...]:
    return (f"/_synapse/mas/{name}",)


query_user: Endpoint[LocalpartParams, NoBody, DelegatedUser] = Endpoint(
    operation_id="synapse.masQueryUser",
    method="GET",
    paths=_path("query_user"),
    auth=Auth.DELEGATE,
    params=LocalpartParams,
    response=DelegatedUser,
)

is_localpart_available: Endpoint[LocalpartParams, NoBody, None] = Endpoint(
    operation_id="synapse.masIsLocalpartAvailable",
    method="GET",
    paths=_path("is_localpart_available"),
    auth=Auth.DELEGATE,
    params=LocalpartParams,
)

provision_user: Endpoint[NoParams, Provision, None] = Endpoint(
    operation_id="synapse.masProvisionUser",
    method="POST",
    paths=_path("provision_user"),
    auth=Auth.DELEGATE,
    body=Provision,
)

upsert_device: Endpoint[NoParams, DeviceUpsert, None] = Endpoint(
    operation_id="synapse.masUpsertDevice",
    method="POST",
    paths=_path("upsert_device"),
    auth=Auth.DELEGATE,
    body=DeviceUpsert,
)

update_device_display_name: Endpoint[NoParams, DeviceName, None] = Endpoint(
    operation_id="synapse.masUpdateDeviceDisplayName",
    method="POST",
    paths=_path("update_device_display_name"),
    auth=Auth.DELEGATE,
    body=DeviceName,
)

delete_device: Endpoint[NoParams, DeviceBody, None] = Endpoint(
    operation_id="synapse.masDeleteDevice",
    method="POST",
    paths=_path("delete_device"),
    auth=Auth.DELEGATE,
    body=DeviceBody,
)

sync_devices: Endpoint[NoParams, DeviceList, None] = Endpoint(
    operation_id="synapse.masSyncDevices",
    method="POST",
    paths=_path("sync_devices"),
    auth=Auth.DELEGATE,
    body=DeviceList,
    max_body=8 * 1024 * 1024,
)

delete_user: Endpoint[NoParams, Deletion, None] = Endpoint(
    operation_id="synapse.masDeleteUser",
    method="POST",
    paths=_path("delete_user"),
    auth=Auth.DELEGATE,
    body=Deletion,
)

reactivate_user: Endpoint[NoParams, UserBody, None] = Endpoint(
    operation_id="synapse.masReactivateUser",
    method="POST",
    paths=_path("reactivate_user"),
    auth=Auth.DELEGATE,
    body=UserBody,
)

set_displayname: Endpoint[NoParams, DisplayName, None] = Endpoint(
    operation_id="synapse.masSetDisplayname",
    method="POST",
    paths=_path("set_displayname"),
    auth=Auth.DELEGATE,
    body=DisplayName,
)

unset_displayname: Endpoint[NoParams, UserBody, None] = Endpoint(
    operation_id="synapse.masUnsetDisplayname",
    method="POST",
    paths=_path("unset_displayname"),
    auth=Auth.DELEGATE,
    body=UserBody,
)

allow_cross_signing_reset: Endpoint[NoParams, UserBody, None] = Endpoint(
    operation_id="synapse.masAllowCrossSigningReset",
    method="POST",
    paths=_path("allow_cross_signing_reset"),
    auth=Auth.DELEGATE,
    body=UserBody,
)
