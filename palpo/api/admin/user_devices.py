"""Devices of users, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers, Reply
from palpo.core.errors import InvalidParam, NotFound
from palpo.core.identifiers import MAX_LENGTH, UserId
from palpo.wire.admin import user_devices as wire
from palpo.wire.endpoint import NoBody, UserParams

handlers = Handlers()


@handlers.serves(wire.list_devices)
async def list_devices(call: Call, params: UserParams, body: NoBody) -> wire.Devices:
    """GET /_synapse/admin/v2/users/{user_id}/devices."""
    devices = await _devices(call, params.user_id)
    return wire.Devices(devices=devices, total=len(devices))


@handlers.serves(wire.create_device)
async def create_device(call: Call, params: UserParams, body: wire.NewDevice) -> Reply:
    """POST /_synapse/admin/v2/users/{user_id}/devices."""
    await _check(call, params.user_id)
    if not 0 < len(body.device_id.encode()) <= MAX_LENGTH or "\0" in body.device_id:
        raise InvalidParam(f"A device ID has 1 to {MAX_LENGTH} bytes")
    await call.services.accounts.devices.ensure(params.user_id, body.device_id, None)
    return Reply(body=b"{}", status=201)


@handlers.serves(wire.delete_devices)
async def delete_devices(call: Call, params: UserParams, body: wire.GoneDevices) -> None:
    """POST /_synapse/admin/v2/users/{user_id}/delete_devices."""
    await _check(call, params.user_id)
    await call.services.accounts.devices.remove(params.user_id, body.devices)


@handlers.serves(wire.get_device)
async def get_device(call: Call, params: wire.DeviceParams, body: NoBody) -> wire.Device:
    """GET /_synapse/admin/v2/users/{user_id}/devices/{device_id}."""
    found = {item.device_id: item for item in await _devices(call, params.user_id)}
    if params.device_id not in found:
        raise NotFound("No such device")
    return found[params.device_id]


@handlers.serves(wire.update_device)
async def update_device(call: Call, params: wire.DeviceParams, body: wire.DeviceChange) -> None:
    """PUT /_synapse/admin/v2/users/{user_id}/devices/{device_id}."""
    await _check(call, params.user_id)
    await call.services.accounts.devices.rename(params.user_id, params.device_id, body.display_name)


@handlers.serves(wire.delete_device)
async def delete_device(call: Call, params: wire.DeviceParams, body: NoBody) -> None:
    """DELETE /_synapse/admin/v2/users/{user_id}/devices/{device_id}: no matter whether it is there."""
    await _check(call, params.user_id)
    await call.services.accounts.devices.remove(params.user_id, [params.device_id])


async def _check(call: Call, user_id: UserId) -> None:
    """Raises InvalidParam for another server's user, and NotFound."""
    await call.services.administration.user_lists.account(user_id)


async def _devices(call: Call, user_id: UserId) -> list[wire.Device]:
    await _check(call, user_id)
    dehydrated = await call.services.administration.user_details.dehydrated_device(user_id)
    return [
        wire.Device(
            user_id=user_id,
            device_id=item.device_id,
            display_name=item.display_name,
            last_seen_user_agent=item.user_agent,
            last_seen_ts=item.last_seen_ts,
            last_seen_ip=item.last_seen_ip,
            dehydrated=item.device_id == dehydrated,
        )
        for item in await call.services.accounts.devices.list(user_id)
    ]
