"""What came before /sync, and peeking."""

from __future__ import annotations

from msgspec import Raw

from palpo.api.call import Call, Handlers
from palpo.api.client.sync import FROM_THE_BEGINNING
from palpo.api.client.timeline import page_size, rendered
from palpo.core.canonical_json import decode_object
from palpo.core.identifiers import RoomId
from palpo.core.membership import INVITE, JOIN, KNOCK, LEAVE
from palpo.services.history.tokens import parse_events_token, stream_token, timeline_token
from palpo.services.reading.old_sync import Account, Snapshot
from palpo.wire.client import old_sync as wire
from palpo.wire.endpoint import NoBody

MAX_MESSAGES = 100

handlers = Handlers()


@handlers.serves(wire.room_initial_sync)
async def room_initial_sync(call: Call, params: wire.RoomInitialSyncParams, body: NoBody) -> wire.RoomInfo:
    old_sync = call.services.reading.old_sync
    data = await old_sync.account_data(call.user_id)
    limit = page_size(params.limit, None, MAX_MESSAGES)
    return await _room(
        call,
        await old_sync.room(params.room_id, call.user_id, data.get(params.room_id, []), limit=limit),
    )


@handlers.serves(wire.initial_sync)
async def initial_sync(call: Call, params: wire.InitialSyncParams, body: NoBody) -> wire.InitialSync:
    call.charge(FROM_THE_BEGINNING)
    old_sync, user_id = call.services.reading.old_sync, call.user_id
    position = old_sync.position()
    limit = page_size(params.limit, None, MAX_MESSAGES)
    data = await old_sync.account_data(user_id)
    rooms = []
    for row in await old_sync.memberships(user_id, archived=params.archived):
        if row.membership in (INVITE, KNOCK):
            rooms.append(await _invited(call, row.room_id, row.membership, row.event_id))
        elif row.membership == JOIN or await call.services.history.room_access.last_leave(row) is not None:
            mine = data.get(row.room_id, [])
            rooms.append(await _room(call, await old_sync.room(row.room_id, user_id, mine, limit=limit)))
    presence = call.services.personal.presence
    present = await presence.changed(user_id, 0, position)
    return wire.InitialSync(
        end=stream_token(position),
        rooms=rooms,
        presence=[Raw(presence.event(row)) for row in present],
        account_data=_account_data(data.get(None, [])),
    )


@handlers.serves(wire.get_events)
async def get_events(call: Call, params: wire.EventsParams, body: NoBody) -> wire.Events:
    found = await call.services.reading.old_sync.events(
        call.requester,
        after=None if params.from_ is None else parse_events_token(params.from_),
        timeout_ms=params.timeout,
        room_id=params.room_id,
    )
    return wire.Events(
        start=stream_token(found.start),
        end=stream_token(found.end),
        chunk=await rendered(call, found.events),
    )


@handlers.serves(wire.get_one_event)
async def get_one_event(call: Call, params: wire.OneEventParams, body: NoBody) -> Raw:
    item = await call.services.reading.old_sync.event(params.event_id, call.user_id)
    return (await rendered(call, [item]))[0]


async def _invited(call: Call, room_id: RoomId, membership: str, event_id: str) -> wire.RoomInfo:
    found = await call.services.history.events.get_list([event_id])
    shown = await rendered(call, found)
    return wire.RoomInfo(room_id=room_id, membership=membership, invite=shown[0] if shown else None)


async def _room(call: Call, snapshot: Snapshot) -> wire.RoomInfo:
    messages = snapshot.messages
    return wire.RoomInfo(
        room_id=snapshot.room_id,
        membership=snapshot.membership or LEAVE,
        messages=wire.PaginationChunk(
            start=timeline_token(messages.end),
            end=timeline_token(messages.start),
            chunk=await rendered(call, messages.events[::-1]),
        ),
        state=await rendered(call, snapshot.state),
        visibility="public" if snapshot.listed else "private",
        account_data=_account_data(snapshot.account_data),
    )


def _account_data(account: Account) -> list[dict[str, object]]:
    return [{"type": type_, "content": decode_object(content)} for type_, content in account]
