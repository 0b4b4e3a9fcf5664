"""Messages to devices."""

from palpo.api.call import Call, Handlers
from palpo.api.pieces import Pieces
from palpo.services.encryption.to_device import check_users
from palpo.wire.client import to_device as wire
from palpo.wire.endpoint import Limit

handlers = Handlers()
MESSAGES_FOR_ONE = 20
"""Messages that cost as much as a request."""

MESSAGES = Pieces[wire.DeviceMessages](wire.DeviceMessages)


@handlers.serves(wire.send_to_device)
async def send_to_device(call: Call, params: wire.SendToDeviceParams, body: wire.ToDeviceMessages) -> None:
    """PUT /sendToDevice/{eventType}/{txnId}."""
    check_users(len(body.messages))
    messages = {user_id: by_device async for user_id, by_device in MESSAGES.each(body.messages)}
    if call.requester.shadow_banned:
        messages = {user_id: by_device for user_id, by_device in messages.items() if user_id == call.user_id}
    call.charge(sum(map(len, messages.values())) // MESSAGES_FOR_ONE)
    size = await call.services.encryption.to_device.send(
        call.requester, params.event_type, params.txn_id, messages
    )
    call.debit(size, Limit.WRITTEN)
