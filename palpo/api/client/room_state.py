"""Room state and members."""

import msgspec

from palpo.api.call import Call, Handlers, Reply
from palpo.api.client.sending import scheduled
from palpo.api.client.timeline import rendered
from palpo.core.canonical_json import to_json
from palpo.wire.client import room_state as wire
from palpo.wire.client.sending import Sent
from palpo.wire.endpoint import Json, NoBody, RoomParams

handlers = Handlers()


@handlers.serves(wire.get_room_state)
async def get_room_state(call: Call, params: RoomParams, body: NoBody) -> list[msgspec.Raw]:
    """GET /rooms/{roomId}/state."""
    return await rendered(
        call, await call.services.rooms.room_state.all(call.user_id, params.room_id), bundle=False
    )


@handlers.serves(wire.get_room_state_with_key)
async def get_room_state_with_key(call: Call, params: wire.StateParams, body: NoBody) -> Reply:
    """GET /rooms/{roomId}/state/{eventType}/{stateKey}."""
    found = await call.services.rooms.room_state.one(
        call.user_id, params.room_id, params.event_type, params.state_key
    )
    if params.format == "event":
        return Reply(body=bytes((await rendered(call, [found], bundle=False))[0]))
    return Reply(body=to_json(found.event.content))


@handlers.serves(wire.set_room_state_with_key)
async def set_room_state_with_key(call: Call, params: wire.SetStateParams, body: Json) -> Sent | Reply:
    """PUT /rooms/{roomId}/state/{eventType}/{stateKey}."""
    if params.delay is not None:
        return await scheduled(
            call, params.room_id, params.event_type, params.state_key, body, params.delay, ts=params.ts
        )
    event_id = await call.services.rooms.room_state.put(
        call.requester,
        params.room_id,
        (params.event_type, params.state_key),
        body,
        origin_server_ts=params.ts if call.requester.appservice_id is not None else None,
    )
    call.services.personal.presence.note_active(call.user_id, call.requester.device_id)
    return Sent(event_id=event_id)


@handlers.serves(wire.get_members_by_room)
async def get_members_by_room(call: Call, params: wire.MembersParams, body: NoBody) -> wire.Members:
    """GET /rooms/{roomId}/members."""
    await call.services.history.completions.wait(params.room_id, call.user_id)
    found = await call.services.rooms.room_state.members(
        call.user_id,
        params.room_id,
        at=params.at,
        only=params.membership,
        without=params.not_membership,
    )
    return wire.Members(chunk=await rendered(call, found, bundle=False))


@handlers.serves(wire.get_joined_members_by_room)
async def get_joined_members_by_room(call: Call, params: RoomParams, body: NoBody) -> wire.JoinedMembers:
    """GET /rooms/{roomId}/joined_members."""
    await call.services.history.completions.wait(params.room_id, call.user_id)
    members = await call.services.rooms.room_state.joined_members(call.requester, params.room_id)
    return wire.JoinedMembers(
        joined={
            user_id: wire.JoinedMember(display_name=member.display_name, avatar_url=member.avatar_url)
            for user_id, member in members.items()
        }
    )
