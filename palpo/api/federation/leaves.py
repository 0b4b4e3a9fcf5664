"""Leaving rooms, and declining invites, by users of other servers."""

from __future__ import annotations

from typing import Any

from palpo.api.call import Call, Handlers
from palpo.api.federation.memberships import template
from palpo.core.membership import LEAVE
from palpo.wire.endpoint import EventParams, Json, NoBody
from palpo.wire.federation import leaves as wire
from palpo.wire.federation.memberships import MakeParams, Template

handlers = Handlers()


@handlers.serves(wire.make_leave)
async def make_leave(call: Call, params: MakeParams, body: NoBody) -> Template:
    """GET /make_leave/{roomId}/{userId}."""
    return await template(call, params, LEAVE)


@handlers.serves(wire.send_leave)
async def send_leave(call: Call, params: EventParams, body: Json) -> None:
    """PUT /_matrix/federation/v2/send_leave/{roomId}/{eventId}."""
    await call.services.federation.sent_memberships.take(
        call.origin, params.room_id, params.event_id, body, LEAVE
    )


@handlers.serves(wire.send_leave_v1)
async def send_leave_v1(call: Call, params: EventParams, body: Json) -> list[Any]:
    """PUT /_matrix/federation/v1/send_leave/{roomId}/{eventId}."""
    await send_leave(call, params, body)
    return [200, {}]
