"""Messages to devices."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import to_device as wire
from palpo.wire.endpoint import Empty

handlers = Handlers()


@handlers.serves(wire.send_to_device)
async def send_to_device(call: Call, params: wire.SendToDeviceParams, body: wire.ToDeviceMessages) -> Empty:
    """PUT /sendToDevice/{eventType}/{txnId}."""
    await call.services.to_device.send(call.requester, params.event_type, params.txn_id, body.messages)
    return Empty()
