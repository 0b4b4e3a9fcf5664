"""Events that are sent later (MSC4140). Whoever knows a delay ID may act on it."""

from __future__ import annotations

from typing import get_args

from palpo.api.call import Call, Handlers, Reply
from palpo.api.client.sending import scheduled
from palpo.core.canonical_json import decode_object
from palpo.core.errors import Unrecognized
from palpo.wire.client import delayed_events as wire
from palpo.wire.endpoint import Empty, NoBody, NoParams

handlers = Handlers()


@handlers.serves(wire.schedule_delayed_event)
async def schedule_delayed_event(call: Call, params: wire.ScheduleParams, body: wire.Schedule) -> Reply:
    """PUT /rooms/{roomId}/delayed_event/{eventType}/{txnId}: as sending with a delay does."""
    return await scheduled(
        call,
        params.room_id,
        params.event_type,
        body.state_key,
        body.content,
        body.delay_ms,
        params.txn_id,
    )


@handlers.serves(wire.get_delayed_events)
async def get_delayed_events(call: Call, params: NoParams, body: NoBody) -> wire.DelayedEvents:
    found = await call.services.delayed_events.of_user(call.user_id)
    return wire.DelayedEvents(
        delayed_events=[
            wire.DelayedEvent(
                delay_id=item.delay_id,
                room_id=item.room_id,
                type=item.type,
                state_key=item.state_key,
                delay=item.delay_ms,
                running_since=item.running_since_ts,
                content=decode_object(item.content),
            )
            for item in found
        ]
    )


@handlers.serves(wire.update_delayed_event)
async def update_delayed_event(call: Call, params: wire.DelayParams, body: wire.Update) -> Empty:
    await call.services.delayed_events.act(params.delay_id, body.action)
    return Empty()


@handlers.serves(wire.act_on_delayed_event)
async def act_on_delayed_event(call: Call, params: wire.ActionParams, body: NoBody) -> Empty:
    for action in get_args(wire.Action):
        if params.action == action:
            await call.services.delayed_events.act(params.delay_id, action)
            return Empty()
    raise Unrecognized("No such action")
