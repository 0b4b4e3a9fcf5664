"""Read receipts and read markers."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.services.personal.account_data import FULLY_READ
from palpo.services.personal.receipts import PRIVATE, READ
from palpo.wire.client import receipts as wire
from palpo.wire.endpoint import Json, RoomParams

handlers = Handlers()


@handlers.serves(wire.post_receipt)
async def post_receipt(call: Call, params: wire.ReceiptParams, body: Json) -> None:
    """POST /rooms/{roomId}/receipt/{receiptType}/{eventId}."""
    thread_id = body.get("thread_id")
    if "thread_id" in body and not isinstance(thread_id, str):
        raise InvalidParam("thread_id is not a string")
    type_ = _shown(call, params.receipt_type)
    await call.services.personal.receipts.send(
        call.user_id, params.room_id, type_, params.event_id, thread_id=thread_id
    )
    _note_active(call)


@handlers.serves(wire.set_read_marker)
async def set_read_marker(call: Call, params: RoomParams, body: wire.Markers) -> None:
    """POST /rooms/{roomId}/read_markers."""
    for type_, event_id in ((FULLY_READ, body.fully_read), (READ, body.read), (PRIVATE, body.private)):
        if event_id is not None:
            shown = _shown(call, type_)
            await call.services.personal.receipts.send(call.user_id, params.room_id, shown, event_id)
    _note_active(call)


def _shown(call: Call, receipt_type: str) -> str:
    """Of those who are shadow-banned, nobody is told what they have read."""
    return PRIVATE if receipt_type == READ and call.requester.shadow_banned else receipt_type


def _note_active(call: Call) -> None:
    call.services.personal.presence.note_active(call.user_id, call.requester.device_id)
