"""Upgrading rooms."""

from palpo.api.call import Call, Handlers
from palpo.wire.client import room_upgrades as wire
from palpo.wire.endpoint import RoomParams

handlers = Handlers()


@handlers.serves(wire.upgrade_room)
async def upgrade_room(call: Call, params: RoomParams, body: wire.Upgrade) -> wire.Upgraded:
    """POST /rooms/{roomId}/upgrade."""
    new_id = await call.services.rooms.room_upgrades.upgrade(
        call.requester, params.room_id, body.new_version, body.additional_creators or ()
    )
    return wire.Upgraded(replacement_room=new_id)
