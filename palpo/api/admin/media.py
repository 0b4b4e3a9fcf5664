"""Media, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.core.records.media import MediaRecord
from palpo.wire.admin import media as wire
from palpo.wire.endpoint import NoBody, RoomParams, UserParams

handlers = Handlers()


@handlers.serves(wire.query_media)
async def query_media(call: Call, params: wire.MediaParams, body: NoBody) -> wire.OneMedia:
    """GET /_synapse/admin/v1/media/{server_name}/{media_id}."""
    record = await call.services.administration.media.find(params.server_name, params.media_id)
    return wire.OneMedia(media_info=_info(record))


@handlers.serves(wire.list_room_media)
async def list_room_media(call: Call, params: RoomParams, body: NoBody) -> wire.RoomMedia:
    """GET /_synapse/admin/v1/room/{room_id}/media."""
    found = await call.services.administration.media.of_room(params.room_id)
    return wire.RoomMedia(local=[str(uri) for uri in found.local], remote=[str(uri) for uri in found.remote])


@handlers.serves(wire.quarantine_media)
async def quarantine_media(call: Call, params: wire.MediaParams, body: NoBody) -> None:
    """POST /_synapse/admin/v1/media/quarantine/{server_name}/{media_id}."""
    quarantine = call.services.media.quarantine
    await quarantine.quarantine(params.server_name, params.media_id, call.user_id)


@handlers.serves(wire.release_media)
async def release_media(call: Call, params: wire.MediaParams, body: NoBody) -> None:
    """POST /_synapse/admin/v1/media/unquarantine/{server_name}/{media_id}."""
    await call.services.media.quarantine.release(params.server_name, params.media_id)


@handlers.serves(wire.quarantine_room)
async def quarantine_room(call: Call, params: RoomParams, body: NoBody) -> wire.Quarantined:
    """POST /_synapse/admin/v1/room/{room_id}/media/quarantine."""
    count = await call.services.administration.media.quarantine_room(params.room_id, call.user_id)
    return wire.Quarantined(num_quarantined=count)


@handlers.serves(wire.quarantine_user)
async def quarantine_user(call: Call, params: UserParams, body: NoBody) -> wire.Quarantined:
    """POST /_synapse/admin/v1/user/{user_id}/media/quarantine."""
    count = await call.services.media.quarantine.quarantine_user(params.user_id, call.user_id)
    return wire.Quarantined(num_quarantined=count)


@handlers.serves(wire.list_quarantine_changes)
async def list_quarantine_changes(
    call: Call, params: wire.QuarantineChangesParams, body: NoBody
) -> wire.QuarantineChanges:
    """GET /_synapse/admin/v1/media/quarantine_changes."""
    found = await call.services.media.quarantine.changes(params.from_)
    changes = [
        wire.QuarantineChange(origin=item.origin, media_id=item.media_id, quarantined=item.quarantined)
        for item in found
    ]
    return wire.QuarantineChanges(next_batch=found[-1].position if found else params.from_, changes=changes)


@handlers.serves(wire.protect_media)
async def protect_media(call: Call, params: wire.LocalMediaParams, body: NoBody) -> None:
    """POST /_synapse/admin/v1/media/protect/{media_id}."""
    await call.services.media.quarantine.protect(params.media_id, True)


@handlers.serves(wire.unprotect_media)
async def unprotect_media(call: Call, params: wire.LocalMediaParams, body: NoBody) -> None:
    """POST /_synapse/admin/v1/media/unprotect/{media_id}."""
    await call.services.media.quarantine.protect(params.media_id, False)


@handlers.serves(wire.delete_media)
async def delete_media(call: Call, params: wire.MediaParams, body: NoBody) -> wire.Deleted:
    """DELETE /_synapse/admin/v1/media/{server_name}/{media_id}."""
    _check_local(call, params.server_name)
    await call.services.media.media_cleanup.delete(params.server_name, params.media_id)
    return wire.Deleted(deleted_media=[params.media_id], total=1)


@handlers.serves(wire.delete_old_media)
async def delete_old_media(call: Call, params: wire.DeleteMediaParams, body: NoBody) -> wire.Deleted:
    """POST /_synapse/admin/v1/media/delete."""
    if params.server_name is not None:
        _check_local(call, params.server_name)
    deleted = await call.services.administration.media.delete_old(
        before_ts=params.before_ts, larger_than=params.size_gt, keep_pictures=params.keep_profiles
    )
    return wire.Deleted(deleted_media=deleted, total=len(deleted))


@handlers.serves(wire.purge_remote_media)
async def purge_remote_media(call: Call, params: wire.PurgeParams, body: NoBody) -> wire.Purged:
    """POST /_synapse/admin/v1/purge_media_cache."""
    count = await call.services.administration.media.purge_remote(before_ts=params.before_ts)
    return wire.Purged(deleted=count)


def _check_local(call: Call, server_name: str) -> None:
    if server_name != call.services.server.name:
        raise InvalidParam("Only media of this server can be deleted")


def _info(record: MediaRecord) -> wire.MediaInfo:
    digest = None if record.sha256 is None else record.sha256.hex()
    return wire.MediaInfo(
        media_origin=record.origin,
        user_id=record.user_id,
        media_id=record.media_id,
        media_type=record.content_type,
        media_length=None if digest is None else record.size,
        upload_name=record.filename,
        created_ts=record.created_ts,
        filesystem_id=digest,
        url_cache=None,
        last_access_ts=record.last_access_ts or None,
        quarantined_by=record.quarantined_by,
        authenticated=record.authenticated,
        safe_from_quarantine=record.protected,
        sha256=digest,
    )
