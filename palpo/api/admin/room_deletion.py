"""Deleting rooms, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import BadRequest, NotFound
from palpo.core.records.jobs import Job, JobState
from palpo.services.administration.room_deletion import MESSAGE, NAME, DeletionWish, told
from palpo.wire.admin import room_deletion as wire
from palpo.wire.endpoint import NoBody, RoomParams

handlers = Handlers()


@handlers.serves(wire.delete_now)
async def delete_now(call: Call, params: RoomParams, body: wire.Deletion) -> wire.ShutdownRoom:
    """DELETE /_synapse/admin/v1/rooms/{room_id}."""
    administration = call.services.administration
    try:
        job = await administration.room_deletion.delete_now(params.room_id, _wish(body), by=call.user_id)
    except NotFound as error:
        if not body.block:
            raise BadRequest(error.message, errcode="M_UNKNOWN") from error
        await administration.rooms.set_blocked(params.room_id, call.user_id, blocked=True)
        return wire.ShutdownRoom(kicked_users=[], failed_to_kick_users=[], local_aliases=[], new_room_id=None)
    return wire.ShutdownRoom(**told(job))


@handlers.serves(wire.delete_room)
async def delete_room(call: Call, params: RoomParams, body: wire.Deletion) -> wire.Begun:
    """DELETE /_synapse/admin/v2/rooms/{room_id}."""
    deletion = call.services.administration.room_deletion
    return wire.Begun(delete_id=(await deletion.start(params.room_id, _wish(body), by=call.user_id)).job_id)


@handlers.serves(wire.get_deletions)
async def get_deletions(call: Call, params: RoomParams, body: NoBody) -> wire.DeletionStatuses:
    """GET /_synapse/admin/v2/rooms/{room_id}/delete_status."""
    found = await call.services.administration.room_deletion.of_room(params.room_id)
    if not found:
        raise NotFound("That room was never deleted")
    return wire.DeletionStatuses(results=[_status(job) for job in found])


@handlers.serves(wire.get_deletion)
async def get_deletion(call: Call, params: wire.DeletionParams, body: NoBody) -> wire.DeletionStatus:
    """GET /_synapse/admin/v2/rooms/delete_status/{delete_id}."""
    return _status(await call.services.administration.room_deletion.get(params.delete_id))


def _wish(body: wire.Deletion) -> DeletionWish:
    return DeletionWish(
        new_room_user_id=body.new_room_user_id,
        room_name=NAME if body.room_name is None else body.room_name,
        message=MESSAGE if body.message is None else body.message,
        block=body.block,
        purge=body.purge,
        force_purge=body.force_purge,
    )


def _status(job: Job) -> wire.DeletionStatus:
    cancelled = job.state is JobState.CANCELLED
    return wire.DeletionStatus(
        delete_id=job.job_id,
        room_id=job.target,
        status=JobState.FAILED.value if cancelled else job.state.value,
        shutdown_room=wire.ShutdownRoom(**told(job)),
        error="The deletion was cancelled" if cancelled else job.error or None,
    )
