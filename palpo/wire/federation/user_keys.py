"""Devices and keys of a server's users (spec: server-server API, "Device Management" and what follows)."""

from __future__ import annotations

import msgspec

from palpo.wire.endpoint import (
    Auth,
    Body,
    Endpoint,
    Limit,
    NoBody,
    NoParams,
    Response,
    UserParams,
    federation,
)

API = "server-server"


class UserDevice(Response, frozen=True):
    """A device that has keys."""

    device_id: str
    keys: msgspec.Raw
    device_display_name: str | None = None


class UserDevices(Response, frozen=True):
    """A user's devices. ``stream_id`` is the last m.device_list_update that is in them."""

    user_id: str
    stream_id: int
    devices: list[UserDevice]
    master_key: msgspec.Raw | None = None
    self_signing_key: msgspec.Raw | None = None


class UserKeysQuery(Body, frozen=True):
    """User ID → device IDs, none meaning all."""

    device_keys: dict[str, list[str]]


class UserKeys(Response, frozen=True):
    """User ID → device ID → keys; user ID → key."""

    device_keys: dict[str, dict[str, msgspec.Raw]]
    master_keys: dict[str, msgspec.Raw]
    self_signing_keys: dict[str, msgspec.Raw]


class UserKeysClaim(Body, frozen=True):
    """User ID → device ID → algorithm."""

    one_time_keys: dict[str, dict[str, str]]


class UserKeysClaimed(Response, frozen=True):
    """User ID → device ID → ``algorithm:key_id`` → key."""

    one_time_keys: dict[str, dict[str, dict[str, msgspec.Raw]]]


get_user_devices: Endpoint[UserParams, NoBody, UserDevices] = Endpoint(
    operation_id="getUserDevices",
    method="GET",
    paths=federation("/user/devices/{user_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=UserParams,
    response=UserDevices,
    api=API,
    large_answer=True,
)

query_user_keys: Endpoint[NoParams, UserKeysQuery, UserKeys] = Endpoint(
    operation_id="queryUserEncryptionKeys",
    method="POST",
    paths=federation("/user/keys/query"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    body=UserKeysQuery,
    response=UserKeys,
    api=API,
    large_answer=True,
)

claim_user_keys: Endpoint[NoParams, UserKeysClaim, UserKeysClaimed] = Endpoint(
    operation_id="claimUserEncryptionKeys",
    method="POST",
    paths=federation("/user/keys/claim"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    body=UserKeysClaim,
    response=UserKeysClaimed,
    api=API,
)
