"""Following threads (MSC4306, MSC4308)."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.services.history.tokens import parse_stream_token, stream_token
from palpo.sync.thread_subscriptions import changes
from palpo.wire.client import thread_subscriptions as wire
from palpo.wire.endpoint import NoBody

MAX_LIMIT = 1000

handlers = Handlers()


@handlers.serves(wire.get_thread_subscription)
async def get_thread_subscription(call: Call, params: wire.ThreadParams, body: NoBody) -> wire.Subscription:
    found = await call.services.personal.thread_subscriptions.get(
        call.user_id, params.room_id, params.root_id
    )
    return wire.Subscription(automatic=found.automatic)


@handlers.serves(wire.put_thread_subscription)
async def put_thread_subscription(call: Call, params: wire.ThreadParams, body: wire.Subscribe) -> None:
    await call.services.personal.thread_subscriptions.subscribe(
        call.user_id, params.room_id, params.root_id, cause=body.automatic
    )


@handlers.serves(wire.delete_thread_subscription)
async def delete_thread_subscription(call: Call, params: wire.ThreadParams, body: NoBody) -> None:
    await call.services.personal.thread_subscriptions.unsubscribe(
        call.user_id, params.room_id, params.root_id
    )


@handlers.serves(wire.get_thread_subscriptions)
async def get_thread_subscriptions(call: Call, params: wire.ChangesParams, body: NoBody) -> wire.Changes:
    if params.limit < 1:
        raise InvalidParam("The limit is below 1")
    limit = min(params.limit, MAX_LIMIT)
    found = await call.services.personal.thread_subscriptions.changed(
        call.user_id,
        after=0 if params.to is None else parse_stream_token(params.to),
        upto=None if params.from_ is None else parse_stream_token(params.from_),
        limit=limit + 1,
    )
    end = stream_token(found[limit].position) if len(found) > limit else None
    return changes(found[:limit], end=end)
