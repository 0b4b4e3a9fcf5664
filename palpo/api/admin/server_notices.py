"""Sending server notices."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.wire.admin import server_notices as wire
from palpo.wire.client.sending import Sent
from palpo.wire.endpoint import NoParams

handlers = Handlers()


@handlers.serves(wire.send_server_notice)
async def send_server_notice(call: Call, params: NoParams, body: wire.ServerNotice) -> Sent:
    """POST /_synapse/admin/v1/send_server_notice."""
    return await _send(call, body, None)


@handlers.serves(wire.put_server_notice)
async def put_server_notice(call: Call, params: wire.ServerNoticeParams, body: wire.ServerNotice) -> Sent:
    """PUT /_synapse/admin/v1/send_server_notice/{transaction_id}."""
    return await _send(call, body, params.transaction_id)


async def _send(call: Call, body: wire.ServerNotice, transaction_id: str | None) -> Sent:
    event_id = await call.services.rooms.server_notices.send(
        call.requester,
        body.user_id,
        type_=body.type,
        content=body.content,
        state_key=body.state_key,
        transaction_id=transaction_id,
    )
    return Sent(event_id=event_id)
