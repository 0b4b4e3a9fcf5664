"""Making rooms."""

from palpo.api.call import Call, Handlers
from palpo.api.suspension import refuse_suspended
from palpo.core.errors import Forbidden
from palpo.services.room_creation import NewRoom, StateDraft
from palpo.wire.client import room_creation as wire
from palpo.wire.endpoint import NoParams

handlers = Handlers()


@handlers.serves(wire.create_room)
async def create_room(call: Call, params: NoParams, body: wire.CreateRoom) -> wire.RoomCreated:
    """POST /createRoom."""
    refuse_suspended(call)
    if body.invite_3pid:
        raise Forbidden("Nobody can be invited by address: no identity server is asked here")
    published = body.visibility == "public"
    new = NewRoom(
        version=body.room_version,
        preset=body.preset or ("public_chat" if published else "private_chat"),
        published=published,
        alias_localpart=body.room_alias_name,
        name=body.name,
        topic=body.topic,
        invite=body.invite or (),
        is_direct=bool(body.is_direct),
        creation_content=body.creation_content or {},
        initial_state=[
            StateDraft(type=item.type, content=item.content, state_key=item.state_key)
            for item in body.initial_state or ()
        ],
        power_levels=body.power_level_content_override or {},
    )
    return wire.RoomCreated(room_id=await call.services.room_creation.create(call.requester, new))
