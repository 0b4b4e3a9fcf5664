"""Dehydrated devices (MSC3814)."""

import msgspec

from palpo.api.call import Call, Handlers
from palpo.core.device_keys import storable
from palpo.core.errors import InvalidParam
from palpo.services.accounts.devices import check_display_name
from palpo.services.encryption.keys import check_key_upload
from palpo.wire.client import dehydrated_devices as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.put_dehydrated_device)
async def put_dehydrated_device(
    call: Call, params: NoParams, body: wire.NewDehydratedDevice
) -> wire.DehydratedDeviceId:
    """PUT /dehydrated_device."""
    if not storable(body.device_id):
        raise InvalidParam("Not a device ID")
    check_display_name(body.initial_device_display_name)
    upload = check_key_upload(
        call.user_id,
        body.device_id,
        device_keys=body.device_keys,
        one_time_keys=body.one_time_keys or {},
        fallback_keys=body.fallback_keys or {},
    )
    await call.services.encryption.dehydrated_devices.put(
        upload, body.device_data, body.initial_device_display_name
    )
    return wire.DehydratedDeviceId(device_id=body.device_id)


@handlers.serves(wire.get_dehydrated_device)
async def get_dehydrated_device(call: Call, params: NoParams, body: NoBody) -> wire.StoredDehydratedDevice:
    """GET /dehydrated_device."""
    device = await call.services.encryption.dehydrated_devices.get(call.user_id)
    return wire.StoredDehydratedDevice(
        device_id=device.device_id, device_data=msgspec.Raw(bytes(device.device_data))
    )


@handlers.serves(wire.delete_dehydrated_device)
async def delete_dehydrated_device(call: Call, params: NoParams, body: NoBody) -> wire.DehydratedDeviceId:
    """DELETE /dehydrated_device."""
    return wire.DehydratedDeviceId(
        device_id=await call.services.encryption.dehydrated_devices.delete(call.user_id)
    )


@handlers.serves(wire.get_dehydrated_events)
async def get_dehydrated_events(call: Call, params: wire.EventsParams, body: NoBody) -> wire.DehydratedEvents:
    """GET /dehydrated_device/{deviceId}/events."""
    return await _events(call, params.device_id, params.next_batch)


@handlers.serves(wire.post_dehydrated_events)
async def post_dehydrated_events(
    call: Call, params: wire.EventsBodyParams, body: wire.EventsRequest
) -> wire.DehydratedEvents:
    """POST /dehydrated_device/{deviceId}/events."""
    return await _events(call, params.device_id, body.next_batch)


async def _events(call: Call, device_id: str, next_batch: str | None) -> wire.DehydratedEvents:
    found = await call.services.encryption.dehydrated_devices.messages(call.user_id, device_id, next_batch)
    return wire.DehydratedEvents(events=found.events, next_batch=found.next_batch)
