"""Devices and keys of users here, for other servers."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.services.encryption.published_devices import NOBODY
from palpo.wire.endpoint import NoBody, NoParams, UserParams
from palpo.wire.federation import user_keys as wire

handlers = Handlers()
USERS_FOR_ONE = 50
"""Users that cost as much as a request."""


@handlers.serves(wire.get_user_devices)
async def get_user_devices(call: Call, params: UserParams, body: NoBody) -> wire.UserDevices:
    """GET /user/devices/{userId}."""
    stream_id, found = await call.services.encryption.keys.published(params.user_id)
    return wire.UserDevices(
        user_id=params.user_id,
        stream_id=stream_id,
        devices=[
            wire.UserDevice(
                device_id=device.device_id, keys=device.keys, device_display_name=device.display_name
            )
            for device in found.devices
            if device.keys is not None
        ],
        master_key=found.master_key,
        self_signing_key=found.self_signing_key,
    )


@handlers.serves(wire.query_user_keys)
async def query_user_keys(call: Call, params: NoParams, body: wire.UserKeysQuery) -> wire.UserKeys:
    """POST /user/keys/query."""
    call.charge(len(body.device_keys) // USERS_FOR_ONE)
    found = await call.services.encryption.keys.query_local(NOBODY, body.device_keys)
    return wire.UserKeys(
        device_keys=found.device_keys,
        master_keys=found.cross_signing.get("master", {}),
        self_signing_keys=found.cross_signing.get("self_signing", {}),
    )


@handlers.serves(wire.claim_user_keys)
async def claim_user_keys(call: Call, params: NoParams, body: wire.UserKeysClaim) -> wire.UserKeysClaimed:
    """POST /user/keys/claim."""
    call.charge(len(body.one_time_keys) // USERS_FOR_ONE)
    claimed = await call.services.encryption.keys.claim_local(body.one_time_keys)
    return wire.UserKeysClaimed(one_time_keys=claimed.one_time_keys)
