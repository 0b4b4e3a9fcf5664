"""Who has most of what, for administrators."""

from __future__ import annotations

from collections.abc import Callable

from palpo.api.call import Call, Handlers
from palpo.services.administration.statistics import UserUsage
from palpo.wire.admin import statistics as wire
from palpo.wire.admin.common import Direction
from palpo.wire.endpoint import NoBody, NoParams

handlers = Handlers()

ORDERS: dict[wire.UsageOrder, Callable[[UserUsage], tuple[int | str, str]]] = {
    wire.UsageOrder.USER_ID: lambda item: ("", item.usage.user_id),
    wire.UsageOrder.DISPLAYNAME: lambda item: (item.displayname or "", item.usage.user_id),
    wire.UsageOrder.MEDIA_LENGTH: lambda item: (item.usage.size, item.usage.user_id),
    wire.UsageOrder.MEDIA_COUNT: lambda item: (item.usage.count, item.usage.user_id),
}


@handlers.serves(wire.media_usage)
async def media_usage(call: Call, params: wire.UsageParams, body: NoBody) -> wire.Usages:
    """GET /_synapse/admin/v1/statistics/users/media."""
    found = await call.services.administration.statistics.media(
        from_ts=params.from_ts, until_ts=params.until_ts, search=params.search_term
    )
    found.sort(key=ORDERS[params.order_by], reverse=params.dir is Direction.BACKWARDS)
    return wire.Usages(
        users=[
            wire.Usage(
                user_id=item.usage.user_id,
                displayname=item.displayname,
                media_count=item.usage.count,
                media_length=item.usage.size,
            )
            for item in found[params.from_ : params.from_ + params.size]
        ],
        total=len(found),
        next_token=params.next_token(len(found)),
    )


@handlers.serves(wire.room_sizes)
async def room_sizes(call: Call, params: NoParams, body: NoBody) -> wire.RoomSizes:
    """GET /_synapse/admin/v1/statistics/database/rooms."""
    found = await call.services.administration.statistics.largest_rooms()
    return wire.RoomSizes(
        rooms=[wire.RoomSize(room_id=item.room_id, estimated_size=item.size) for item in found]
    )
