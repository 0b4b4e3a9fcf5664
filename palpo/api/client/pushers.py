"""Pushers."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.canonical_json import decode_object
from palpo.wire.client import pushers as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.get_pushers)
async def get_pushers(call: Call, params: NoParams, body: NoBody) -> wire.Pushers:
    """GET /pushers."""
    found = await call.services.push.pushers.of_user(call.user_id)
    return wire.Pushers(
        pushers=[
            wire.Pusher(
                pushkey=item.pushkey,
                kind=item.kind,
                app_id=item.app_id,
                app_display_name=item.app_display_name,
                device_display_name=item.device_display_name,
                lang=item.lang,
                data=decode_object(item.data),
                profile_tag=item.profile_tag,
            )
            for item in found
        ]
    )


@handlers.serves(wire.post_pusher)
async def post_pusher(call: Call, params: NoParams, body: wire.SetPusher) -> None:
    """POST /pushers/set."""
    pushers = call.services.push.pushers
    if body.kind is None:
        await pushers.remove(call.user_id, body.app_id, body.pushkey)
        return
    await pushers.set(call.user_id, call.requester.device_id, body.kind, body)
