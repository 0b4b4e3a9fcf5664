"""Rooms, for administrators."""

from __future__ import annotations

from typing import Any

from palpo.api.call import Call, Handlers
from palpo.api.client.timeline import MAX_CONTEXT, event_filter, page_size, rendered
from palpo.api.room_overviews import space_room
from palpo.core.records.rooms import RoomOrder
from palpo.services.administration.room_lists import ListedRoom, RoomQuery
from palpo.services.history.tokens import timeline_token
from palpo.services.reading.timeline import MAX_LIMIT, Query
from palpo.wire.admin import rooms as wire
from palpo.wire.admin.common import Direction
from palpo.wire.client.timeline import Context, ContextParams, EventNearTime, Messages, MessagesParams
from palpo.wire.endpoint import NoBody, RoomParams

handlers = Handlers()

OLD_ORDERS = {wire.RoomOrder.ALPHABETICAL: RoomOrder.NAME, wire.RoomOrder.SIZE: RoomOrder.JOINED_MEMBERS}


@handlers.serves(wire.list_rooms)
async def list_rooms(call: Call, params: wire.RoomsParams, body: NoBody) -> wire.Rooms:
    """GET /_synapse/admin/v1/rooms."""
    order = OLD_ORDERS.get(params.order_by) or RoomOrder(params.order_by.value)
    query = RoomQuery(
        search=params.search_term,
        public=params.public_rooms,
        empty=params.empty_rooms,
        order=order,
        backwards=params.dir is Direction.BACKWARDS,
    )
    start = params.from_
    total, found = await call.services.administration.room_lists.find(query, skipped=start, limit=params.size)
    return wire.Rooms(
        rooms=[wire.Room(**_room(room)) for room in found],
        offset=start,
        total_rooms=total,
        next_batch=params.next_token(total),
        prev_batch=max(0, start - params.size) if start > 0 else None,
    )


@handlers.serves(wire.get_room)
async def get_room(call: Call, params: RoomParams, body: NoBody) -> wire.RoomDetails:
    """GET /_synapse/admin/v1/rooms/{room_id}."""
    found = await call.services.administration.room_lists.details(params.room_id)
    facts = found.room.facts
    return wire.RoomDetails(
        **_room(found.room),
        topic=facts.topic,
        avatar=facts.avatar,
        joined_local_devices=found.joined_local_devices,
        forgotten=found.forgotten,
        tombstoned=facts.tombstoned,
        replacement_room=facts.replacement_room,
    )


@handlers.serves(wire.get_members)
async def get_members(call: Call, params: RoomParams, body: NoBody) -> wire.Members:
    """GET /_synapse/admin/v1/rooms/{room_id}/members."""
    found = await call.services.administration.rooms.members(params.room_id)
    return wire.Members(members=found, total=len(found))


@handlers.serves(wire.get_state)
async def get_state(call: Call, params: wire.StateParams, body: NoBody) -> wire.State:
    """GET /_synapse/admin/v1/rooms/{room_id}/state."""
    found = await call.services.administration.room_histories.state(params.room_id, params.type or None)
    return wire.State(state=await rendered(call, found, bundle=False))


@handlers.serves(wire.get_messages)
async def get_messages(call: Call, params: MessagesParams, body: NoBody) -> Messages:
    """GET /_synapse/admin/v1/rooms/{room_id}/messages."""
    filter_ = event_filter(params.filter)
    query = Query(
        room_id=params.room_id,
        user_id=call.user_id,
        backwards=params.dir == "b",
        limit=page_size(params.limit, filter_, MAX_LIMIT),
        filter=filter_,
    )
    histories = call.services.administration.room_histories
    # Dashboards send what they have no value of as empty text.
    page = await histories.messages(query, params.from_ or None, params.to or None)
    state = None
    if filter_ is not None and filter_.lazy_load_members and page.events:
        state = await rendered(call, await histories.members(page.events))
    return Messages(
        start=params.from_ or timeline_token(page.start),
        chunk=await rendered(call, page.events),
        end=timeline_token(page.end) if page.events or not page.complete else None,
        state=state,
    )


@handlers.serves(wire.get_context)
async def get_context(call: Call, params: ContextParams, body: NoBody) -> Context:
    """GET /_synapse/admin/v1/rooms/{room_id}/context/{event_id}."""
    filter_ = event_filter(params.filter)
    query = Query(
        room_id=params.room_id,
        user_id=call.user_id,
        backwards=True,
        limit=page_size(params.limit, filter_, MAX_CONTEXT),
        filter=filter_,
    )
    found = await call.services.administration.room_histories.context(query, params.event_id)
    return Context(
        start=timeline_token(found.before.end),
        end=timeline_token(found.after.end),
        event=(await rendered(call, [found.event]))[0],
        events_before=await rendered(call, found.before.events),
        events_after=await rendered(call, found.after.events),
        state=await rendered(call, found.state),
    )


@handlers.serves(wire.get_event_near)
async def get_event_near(call: Call, params: wire.TimestampParams, body: NoBody) -> EventNearTime:
    """GET /_synapse/admin/v1/rooms/{room_id}/timestamp_to_event."""
    item = await call.services.administration.room_histories.near(
        params.room_id, call.user_id, params.ts, backwards=params.dir is Direction.BACKWARDS
    )
    return EventNearTime(event_id=item.event_id, origin_server_ts=item.event.origin_server_ts)


@handlers.serves(wire.get_hierarchy)
async def get_hierarchy(call: Call, params: wire.HierarchyParams, body: NoBody) -> wire.Hierarchy:
    """GET /_synapse/admin/v1/rooms/{room_id}/hierarchy."""
    page = await call.services.administration.room_histories.space(
        params.room_id, skipped=params.from_, limit=params.limit, max_depth=params.max_depth
    )
    after = None if page.next_from is None else str(page.next_from)
    return wire.Hierarchy(rooms=[space_room(room) for room in page.rooms], next_batch=after)


@handlers.serves(wire.get_block)
async def get_block(call: Call, params: RoomParams, body: NoBody) -> wire.Blocked:
    """GET /_synapse/admin/v1/rooms/{room_id}/block."""
    found = await call.services.administration.rooms.blocked(params.room_id)
    return wire.Blocked(block=found is not None, user_id=None if found is None else found.user_id)


@handlers.serves(wire.set_block)
async def set_block(call: Call, params: RoomParams, body: wire.Block) -> wire.Blocked:
    """PUT /_synapse/admin/v1/rooms/{room_id}/block."""
    await call.services.administration.rooms.set_blocked(params.room_id, call.user_id, blocked=body.block)
    return wire.Blocked(block=body.block)


@handlers.serves(wire.make_room_admin)
async def make_room_admin(call: Call, params: wire.RoomOrAliasParams, body: wire.NewAdmin) -> None:
    """POST /_synapse/admin/v1/rooms/{room_id_or_alias}/make_room_admin."""
    await call.services.administration.rooms.make_admin(params.room_id_or_alias, body.user_id or call.user_id)


@handlers.serves(wire.get_extremities)
async def get_extremities(call: Call, params: wire.RoomOrAliasParams, body: NoBody) -> wire.Extremities:
    """GET /_synapse/admin/v1/rooms/{room_id_or_alias}/forward_extremities."""
    found = await call.services.administration.rooms.extremities(params.room_id_or_alias)
    results = [
        wire.Extremity(
            event_id=item.event.event_id,
            state_group=int.from_bytes(item.event.state_after[:6], "big"),
            depth=item.depth,
            received_ts=item.event.event.origin_server_ts,
        )
        for item in found
    ]
    return wire.Extremities(count=len(results), results=results)


@handlers.serves(wire.delete_extremities)
async def delete_extremities(call: Call, params: wire.RoomOrAliasParams, body: NoBody) -> wire.Merged:
    """DELETE /_synapse/admin/v1/rooms/{room_id_or_alias}/forward_extremities."""
    count = await call.services.administration.rooms.merge_extremities(params.room_id_or_alias)
    return wire.Merged(deleted=count)


@handlers.serves(wire.join_room)
async def join_room(call: Call, params: wire.RoomOrAliasParams, body: wire.Joining) -> wire.Joined:
    """POST /_synapse/admin/v1/join/{room_id_or_alias}."""
    room_id = await call.services.administration.rooms.join(
        call.requester, params.room_id_or_alias, body.user_id
    )
    return wire.Joined(room_id=room_id)


@handlers.serves(wire.fetch_event)
async def fetch_event(call: Call, params: wire.EventParams, body: NoBody) -> wire.FetchedEvent:
    """GET /_synapse/admin/v1/fetch_event/{event_id}."""
    return wire.FetchedEvent(event=await call.services.administration.room_histories.event(params.event_id))


def _room(room: ListedRoom) -> dict[str, Any]:
    facts = room.facts
    return {
        "room_id": facts.room_id,
        "name": facts.name,
        "canonical_alias": facts.canonical_alias,
        "joined_members": room.joined_members,
        "joined_local_members": room.joined_local_members,
        "version": facts.version,
        "creator": facts.creator,
        "encryption": facts.encryption,
        "federatable": facts.federatable,
        "public": room.public,
        "join_rules": facts.join_rules,
        "guest_access": facts.guest_access,
        "history_visibility": facts.history_visibility,
        "state_events": facts.state_events,
        "room_type": facts.room_type,
    }
