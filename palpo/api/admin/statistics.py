"""Who has most of what, for administrators."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.wire.admin import statistics as wire
from palpo.wire.admin.common import Direction
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.media_usage)
async def media_usage(call: Call, params: wire.UsageParams, body: NoBody) -> wire.Usages:
    """GET /_synapse/admin/v1/statistics/users/media."""
    total, found = await call.services.administration.statistics.media(
        from_ts=params.from_ts,
        until_ts=params.until_ts,
        search=params.search_term,
        order=params.order_by.value,
        backwards=params.dir is Direction.BACKWARDS,
        skipped=params.from_,
        limit=params.size,
    )
    return wire.Usages(
        users=[
            wire.Usage(
                user_id=item.usage.user_id,
                displayname=item.displayname,
                media_count=item.usage.count,
                media_length=item.usage.size,
            )
            for item in found
        ],
        total=total,
        next_token=params.next_token(total),
    )


@handlers.serves(wire.room_sizes)
async def room_sizes(call: Call, params: NoParams, body: NoBody) -> wire.RoomSizes:
    """GET /_synapse/admin/v1/statistics/database/rooms."""
    found = await call.services.administration.statistics.largest_rooms()
    return wire.RoomSizes(
        rooms=[wire.RoomSize(room_id=item.room_id, estimated_size=item.size) for item in found]
    )
