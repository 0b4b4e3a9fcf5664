"""Presence."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import Forbidden
from palpo.wire.client import presence as wire
from palpo.wire.endpoint import NoBody, UserParams

handlers = Handlers()


@handlers.serves(wire.set_presence)
async def set_presence(call: Call, params: UserParams, body: wire.SetPresence) -> None:
    """PUT /presence/{userId}/status."""
    if params.user_id != call.user_id:
        raise Forbidden("You cannot set another user's presence")
    if call.requester.shadow_banned:
        return
    await call.services.personal.presence.set(
        call.user_id, call.requester.device_id, body.presence, body.status_msg
    )


@handlers.serves(wire.get_presence)
async def get_presence(call: Call, params: UserParams, body: NoBody) -> wire.Presence:
    """GET /presence/{userId}/status."""
    presence = call.services.personal.presence
    found = await presence.get(params.user_id, asker=call.user_id)
    return wire.Presence(
        presence=found.presence,
        last_active_ago=presence.last_active_ago(found),
        status_msg=found.status_msg,
        currently_active=found.currently_active if found.presence == "online" else None,
    )
