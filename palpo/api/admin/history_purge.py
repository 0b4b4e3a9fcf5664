"""Deleting rooms' histories, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import RoomId
from palpo.core.records.jobs import JobState
from palpo.services.administration.history_purge import Point
from palpo.wire.admin import history_purge as wire
from palpo.wire.endpoint import EventParams, NoBody, RoomParams

handlers = Handlers()

STATUS = {JobState.SCHEDULED: "active", JobState.CANCELLED: "failed"}


@handlers.serves(wire.purge_history)
async def purge_history(call: Call, params: RoomParams, body: wire.Purge) -> wire.Begun:
    """POST /_synapse/admin/v1/purge_history/{room_id}."""
    return await _begin(call, params.room_id, body, body.purge_up_to_event_id)


@handlers.serves(wire.purge_history_before)
async def purge_history_before(call: Call, params: EventParams, body: wire.Purge) -> wire.Begun:
    """POST /_synapse/admin/v1/purge_history/{room_id}/{event_id}."""
    return await _begin(call, params.room_id, body, params.event_id)


@handlers.serves(wire.get_purge)
async def get_purge(call: Call, params: wire.PurgeParams, body: NoBody) -> wire.PurgeStatus:
    """GET /_synapse/admin/v1/purge_history_status/{purge_id}."""
    job = await call.services.administration.history_purge.get(params.purge_id)
    cancelled = "The purge was cancelled" if job.state is JobState.CANCELLED else None
    return wire.PurgeStatus(status=STATUS.get(job.state, job.state.value), error=job.error or cancelled)


async def _begin(call: Call, room_id: RoomId, body: wire.Purge, event_id: str | None) -> wire.Begun:
    purge = call.services.administration.history_purge
    if event_id is not None:
        before = await purge.before_event(room_id, event_id)
    elif body.purge_up_to_ts is not None:
        before = await purge.before_time(room_id, body.purge_up_to_ts)
    else:
        raise InvalidParam("Up to an event, or up to a time: one of them has to be said")
    point = Point(before=before, local_too=body.delete_local_events)
    return wire.Begun(purge_id=(await purge.start(room_id, point, by=call.user_id)).job_id)
