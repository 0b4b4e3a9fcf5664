"""Sending message events and redactions."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import sending as wire
from palpo.wire.endpoint import Json

handlers = Handlers()


@handlers.serves(wire.send_message)
async def send_message(call: Call, params: wire.SendParams, body: Json) -> wire.Sent:
    event_id = await call.services.sending.send(
        call.requester,
        params.room_id,
        params.event_type,
        body,
        transaction_id=params.txn_id,
        origin_server_ts=params.ts if call.requester.appservice_id is not None else None,
    )
    return wire.Sent(event_id=event_id)


@handlers.serves(wire.redact_event)
async def redact_event(call: Call, params: wire.RedactParams, body: Json) -> wire.Sent:
    event_id = await call.services.sending.redact(
        call.requester, params.room_id, params.event_id, body, transaction_id=params.txn_id
    )
    return wire.Sent(event_id=event_id)
