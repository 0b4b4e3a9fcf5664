"""Messages to devices."""

from palpo.api.call import Call, Handlers
from palpo.api.pieces import Pieces
from palpo.services.to_device import check_users
from palpo.wire.client import to_device as wire
from palpo.wire.endpoint import Empty

handlers = Handlers()

MESSAGES = Pieces[wire.DeviceMessages](wire.DeviceMessages)


@handlers.serves(wire.send_to_device)
async def send_to_device(call: Call, params: wire.SendToDeviceParams, body: wire.ToDeviceMessages) -> Empty:
    """PUT /sendToDevice/{eventType}/{txnId}."""
    check_users(len(body.messages))
    messages = {user_id: by_device async for user_id, by_device in MESSAGES.each(body.messages)}
    await call.services.to_device.send(call.requester, params.event_type, params.txn_id, messages)
    return Empty()
