"""What the server brings up to date of its own accord, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.services.administration.background_updates import ROOM_SUMMARIES, USER_DIRECTORY, Update
from palpo.wire.admin import background_updates as wire
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()
KINDS = {wire.JobName.ROOMS: ROOM_SUMMARIES, wire.JobName.USER_DIRECTORY: USER_DIRECTORY}


@handlers.serves(wire.get_status)
async def get_status(call: Call, params: NoParams, body: NoBody) -> wire.Status:
    """GET /_synapse/admin/v1/background_updates/status."""
    updates = call.services.administration.background_updates
    current = [_update(item) for item in await updates.current()]
    names = ["master", *(item.name for item in current[1:])]
    return wire.Status(
        enabled=await updates.enabled(), current_updates=dict(zip(names, current, strict=False))
    )


@handlers.serves(wire.get_enabled)
async def get_enabled(call: Call, params: NoParams, body: NoBody) -> wire.EnabledAnswer:
    """GET /_synapse/admin/v1/background_updates/enabled."""
    return wire.EnabledAnswer(enabled=await call.services.administration.background_updates.enabled())


@handlers.serves(wire.set_enabled)
async def set_enabled(call: Call, params: NoParams, body: wire.Enabled) -> wire.EnabledAnswer:
    """POST /_synapse/admin/v1/background_updates/enabled."""
    await call.services.administration.background_updates.set_enabled(body.enabled)
    return wire.EnabledAnswer(enabled=body.enabled)


@handlers.serves(wire.start_job)
async def start_job(call: Call, params: NoParams, body: wire.JobOrder) -> None:
    """POST /_synapse/admin/v1/background_updates/start_job."""
    await call.services.administration.background_updates.start(KINDS[body.job_name], by=call.user_id)


def _update(item: Update) -> wire.CurrentUpdate:
    return wire.CurrentUpdate(
        name=item.name,
        total_item_count=item.items,
        total_duration_ms=float(item.duration_ms),
        average_items_per_ms=item.items / item.duration_ms if item.duration_ms else None,
    )
