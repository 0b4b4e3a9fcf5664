"""Sending message events and redactions."""

from palpo.api.audit import record
from palpo.api.call import Call, Handlers, Reply
from palpo.api.codec import encode
from palpo.core.identifiers import RoomId
from palpo.services.rooms.sending import Sent
from palpo.wire.client import sending as wire
from palpo.wire.client.delayed_events import Scheduled
from palpo.wire.endpoint import Json, RoomParams

handlers = Handlers()


async def scheduled(
    call: Call,
    room_id: RoomId,
    event_type: str,
    state_key: str | None,
    content: Json,
    delay_ms: int,
    transaction_id: str | None = None,
    ts: int | None = None,
) -> Reply:
    """Have an event sent later (MSC4140)."""
    # Sending is for suspended users too, who may redact; this is not.
    call.requester.refuse_suspended()
    delay_id = await call.services.rooms.delayed_events.schedule(
        call.requester,
        room_id,
        event_type,
        content,
        delay_ms=delay_ms,
        state_key=state_key,
        transaction_id=transaction_id,
        origin_server_ts=ts if call.requester.appservice_id is not None else None,
    )
    return Reply(body=encode(Scheduled(delay_id=delay_id)))


@handlers.serves(wire.send_message)
async def send_message(call: Call, params: wire.SendParams, body: Json) -> wire.Sent | Reply:
    if params.delay is not None:
        return await scheduled(
            call, params.room_id, params.event_type, None, body, params.delay, params.txn_id, params.ts
        )
    sent = await call.services.rooms.sending.send(
        call.requester,
        params.room_id,
        params.event_type,
        body,
        transaction_id=params.txn_id,
        origin_server_ts=params.ts if call.requester.appservice_id is not None else None,
    )
    call.services.personal.presence.note_active(call.user_id, call.requester.device_id)
    return await _told(call, params, body, sent)


@handlers.serves(wire.redact_event)
async def redact_event(call: Call, params: wire.RedactParams, body: Json) -> wire.Sent:
    sent = await call.services.rooms.sending.redact(
        call.requester, params.room_id, params.event_id, body, transaction_id=params.txn_id
    )
    return await _told(call, params, body, sent)


async def _told(call: Call, params: RoomParams, body: Json, sent: Sent) -> wire.Sent:
    """The answer; what only an administrator could send is written down."""
    if sent.by_right:
        await record(call, params, body, 200)
    return wire.Sent(event_id=sent.event_id)
