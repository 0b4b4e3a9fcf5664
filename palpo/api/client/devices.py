"""Managing devices."""

from msgspec import convert

from palpo.api.call import Call, Handlers, Reply
from palpo.api.interactive_auth import authorise, repeatable
from palpo.core.errors import InvalidParam
from palpo.services.accounts.logins import check_device_id
from palpo.wire.client import devices as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()

MAX_DELETED = 1000
"""Devices in one request."""


@handlers.serves(wire.get_devices)
async def get_devices(call: Call, params: NoParams, body: NoBody) -> wire.ClientDevices:
    """GET /devices."""
    found = await call.services.accounts.devices.list(call.user_id)
    return wire.ClientDevices(devices=convert(found, list[wire.ClientDevice], from_attributes=True))


@handlers.serves(wire.get_device)
async def get_device(call: Call, params: wire.DeviceParams, body: NoBody) -> wire.ClientDevice:
    """GET /devices/{deviceId}."""
    check_device_id(params.device_id)
    found = await call.services.accounts.devices.get(call.user_id, params.device_id)
    return convert(found, wire.ClientDevice, from_attributes=True)


@handlers.serves(wire.update_device)
async def update_device(call: Call, params: wire.DeviceParams, body: wire.DeviceUpdate) -> Reply | None:
    """PUT /devices/{deviceId}: 201 where an application service made a new device."""
    check_device_id(params.device_id)
    if call.requester.appservice_id is not None:
        created = await call.services.accounts.devices.ensure(
            call.user_id, params.device_id, body.display_name
        )
        return Reply(body=b"{}", status=201 if created else 200)
    await call.services.accounts.devices.rename(call.user_id, params.device_id, body.display_name)
    return None


@handlers.serves(wire.delete_device)
@repeatable
async def delete_device(call: Call, params: wire.DeviceParams, body: wire.DeviceDeletion) -> None:
    """DELETE /devices/{deviceId}, with user-interactive auth."""
    check_device_id(params.device_id)
    await authorise(call, body.auth, scope=params.device_id)
    await call.services.accounts.devices.remove(call.user_id, [params.device_id])


@handlers.serves(wire.delete_devices)
@repeatable
async def delete_devices(call: Call, params: NoParams, body: wire.DevicesDeletion) -> None:
    """POST /delete_devices, with user-interactive auth."""
    if len(body.devices) > MAX_DELETED:
        raise InvalidParam(f"More than {MAX_DELETED} devices at once")
    for device_id in body.devices:
        check_device_id(device_id)
    device_ids = sorted(set(body.devices))
    await authorise(call, body.auth, scope="\n".join(device_ids))
    await call.services.accounts.devices.remove(call.user_id, device_ids)
