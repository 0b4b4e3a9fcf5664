"""Knocks by users of other servers."""

from __future__ import annotations

from msgspec import Raw

from palpo.api.call import Call, Handlers
from palpo.api.federation.memberships import template
from palpo.core.membership import KNOCK
from palpo.wire.endpoint import EventParams, Json, NoBody
from palpo.wire.federation import knocks as wire
from palpo.wire.federation.memberships import Template

handlers = Handlers()


@handlers.serves(wire.make_knock)
async def make_knock(call: Call, params: wire.MakeKnockParams, body: NoBody) -> Template:
    """GET /make_knock/{roomId}/{userId}."""
    return await template(call, params, KNOCK, params.ver)


@handlers.serves(wire.send_knock)
async def send_knock(call: Call, params: EventParams, body: Json) -> wire.KnockRoomState:
    """PUT /send_knock/{roomId}/{eventId}."""
    sent = call.services.federation.sent_memberships
    knock = await sent.take(call.origin, params.room_id, params.event_id, body, KNOCK)
    return wire.KnockRoomState(knock_room_state=[Raw(pdu) for pdu in await sent.shown(knock)])
