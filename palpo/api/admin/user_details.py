"""What users have and do, for administrators."""

from __future__ import annotations

import msgspec

from palpo.api.call import Call, Handlers
from palpo.core.bounds import TOP
from palpo.core.records.jobs import JobState
from palpo.core.records.media import MediaRecord
from palpo.services.administration.redactions import LIMIT, Wanted
from palpo.wire.admin import user_details as wire
from palpo.wire.client.account_moderation import Connection, DeviceSession, DeviceSessions, WhoIs
from palpo.wire.endpoint import NoBody, UserParams

handlers = Handlers()


@handlers.serves(wire.who_is)
async def who_is(call: Call, params: UserParams, body: NoBody) -> WhoIs:
    """GET /_synapse/admin/v1/whois/{user_id}: the connections of all devices, as those of one."""
    call.services.administration.user_lists.check_local(params.user_id)
    found = await call.services.accounts.devices.list(params.user_id)
    connections = [
        Connection(ip=item.last_seen_ip, last_seen=item.last_seen_ts, user_agent=item.user_agent)
        for item in found
        if item.last_seen_ts is not None
    ]
    sessions = DeviceSessions(sessions=[DeviceSession(connections=connections)])
    return WhoIs(user_id=params.user_id, devices={"": sessions})


@handlers.serves(wire.list_joined_rooms)
async def list_joined_rooms(call: Call, params: UserParams, body: NoBody) -> wire.JoinedRooms:
    """GET /_synapse/admin/v1/users/{user_id}/joined_rooms."""
    rooms = await call.services.administration.user_details.joined_rooms(params.user_id)
    return wire.JoinedRooms(joined_rooms=rooms, total=len(rooms))


@handlers.serves(wire.list_memberships)
async def list_memberships(call: Call, params: UserParams, body: NoBody) -> wire.Memberships:
    """GET /_synapse/admin/v1/users/{user_id}/memberships."""
    found = await call.services.administration.user_details.memberships(params.user_id)
    return wire.Memberships(memberships={str(room_id): what for room_id, what in found.items()})


@handlers.serves(wire.count_invites)
async def count_invites(call: Call, params: wire.SinceParams, body: NoBody) -> wire.InviteCount:
    """GET /_synapse/admin/v1/users/{user_id}/sent_invite_count."""
    details = call.services.administration.user_details
    return wire.InviteCount(invite_count=await details.count_invites(params.user_id, from_ts=params.from_ts))


@handlers.serves(wire.count_joined)
async def count_joined(call: Call, params: wire.SinceParams, body: NoBody) -> wire.JoinedCount:
    """GET /_synapse/admin/v1/users/{user_id}/cumulative_joined_room_count."""
    details = call.services.administration.user_details
    count = await details.count_joined(params.user_id, from_ts=params.from_ts)
    return wire.JoinedCount(cumulative_joined_room_count=count)


@handlers.serves(wire.get_account_data)
async def get_account_data(call: Call, params: UserParams, body: NoBody) -> wire.AccountData:
    """GET /_synapse/admin/v1/users/{user_id}/accountdata."""
    found = await call.services.administration.user_details.account_data(params.user_id)
    by_room = {
        room_id: {type_: msgspec.Raw(content) for type_, content in by_type.items()}
        for room_id, by_type in found.items()
    }
    own = by_room.pop("", {})
    return wire.AccountData(account_data=wire.AccountDataByPlace(global_=own, rooms=by_room))


@handlers.serves(wire.list_pushers)
async def list_pushers(call: Call, params: UserParams, body: NoBody) -> wire.Pushers:
    """GET /_synapse/admin/v1/users/{user_id}/pushers."""
    found = await call.services.administration.user_details.pushers(params.user_id)
    pushers = [
        wire.Pusher(
            app_display_name=item.app_display_name,
            app_id=item.app_id,
            data=msgspec.Raw(item.data),
            device_display_name=item.device_display_name,
            kind=item.kind,
            lang=item.lang,
            profile_tag=item.profile_tag or "",
            pushkey=item.pushkey,
            enabled=True,
            device_id=item.device_id,
        )
        for item in found
    ]
    return wire.Pushers(pushers=pushers, total=len(pushers))


@handlers.serves(wire.list_media)
async def list_media(call: Call, params: wire.UserMediaParams, body: NoBody) -> wire.MediaPage:
    """GET /_synapse/admin/v1/users/{user_id}/media."""
    total, found = await call.services.administration.user_details.media(
        params.user_id,
        order=_order(params),
        backwards=params.backwards,
        skipped=params.from_,
        limit=params.size,
    )
    media = [_media(item) for item in found]
    return wire.MediaPage(media=media, total=total, next_token=params.next_token(total))


@handlers.serves(wire.delete_media)
async def delete_media(call: Call, params: wire.UserMediaParams, body: NoBody) -> wire.DeletedMedia:
    """DELETE /_synapse/admin/v1/users/{user_id}/media."""
    deleted = await call.services.administration.user_details.delete_media(
        params.user_id,
        order=_order(params),
        backwards=params.backwards,
        skipped=params.from_,
        limit=params.size,
    )
    return wire.DeletedMedia(deleted_media=deleted, total=len(deleted))


@handlers.serves(wire.redact)
async def redact(call: Call, params: UserParams, body: wire.NewRedactions) -> wire.Redacting:
    """POST /_synapse/admin/v1/user/{user_id}/redact."""
    wanted = Wanted(
        rooms=body.rooms,
        reason=body.reason,
        limit=LIMIT if body.limit is None else body.limit,
        use_admin=body.use_admin,
        after_ts=body.after_ts or 0,
        before_ts=TOP if body.before_ts is None else body.before_ts,
    )
    redactions = call.services.administration.user_redactions
    return wire.Redacting(redact_id=await redactions.begin(params.user_id, wanted, by=call.user_id))


@handlers.serves(wire.redact_status)
async def redact_status(call: Call, params: wire.RedactParams, body: NoBody) -> wire.RedactStatus:
    """GET /_synapse/admin/v1/user/redact_status/{redact_id}."""
    job = await call.services.administration.user_redactions.status(params.redact_id)
    state = JobState.FAILED if job.state is JobState.CANCELLED else job.state
    failed = (job.result or job.progress).get("failed_redactions", {})
    return wire.RedactStatus(status=state.value, failed_redactions=failed)


def _order(params: wire.UserMediaParams) -> str:
    return (params.order_by or wire.MediaOrder.CREATED_TS).value


def _media(record: MediaRecord) -> wire.Media:
    digest = None if record.sha256 is None else record.sha256.hex()
    return wire.Media(
        media_id=record.media_id,
        media_type=record.content_type,
        media_length=None if digest is None else record.size,
        upload_name=record.filename,
        created_ts=record.created_ts,
        url_cache=None,
        last_access_ts=record.last_access_ts or None,
        quarantined_by=record.quarantined_by,
        safe_from_quarantine=record.protected,
        user_id=record.user_id,
        authenticated=record.authenticated,
        sha256=digest,
    )
