"""Making rooms."""

from palpo.api.call import Call, Handlers
from palpo.services.rooms.room_creation import NewRoom, StateDraft
from palpo.services.rooms.third_party_invites import Address
from palpo.wire.client import room_creation as wire
from palpo.wire.endpoint import Limit, NoParams

handlers = Handlers()
INVITES_FOR_ONE = 20
"""Invitations that cost as much as a room."""


@handlers.serves(wire.create_room)
async def create_room(call: Call, params: NoParams, body: wire.CreateRoom) -> wire.RoomCreated:
    """POST /createRoom."""
    call.charge(len(body.invite or ()) // INVITES_FOR_ONE)
    call.charge(len(body.invite_3pid or ()), Limit.THIRD_PARTY)
    third_party_invites = call.services.rooms.third_party_invites
    found, pending = await third_party_invites.find_all([_address(item) for item in body.invite_3pid or ()])
    published = body.visibility == "public"
    new = NewRoom(
        version=body.room_version,
        preset=body.preset or ("public_chat" if published else "private_chat"),
        published=published,
        alias_localpart=body.room_alias_name,
        name=body.name,
        topic=body.topic,
        invite=[*(body.invite or ()), *(user_id for user_id in found if user_id != call.user_id)],
        is_direct=bool(body.is_direct),
        creation_content=body.creation_content or {},
        initial_state=[
            StateDraft(type=item.type, content=item.content, state_key=item.state_key)
            for item in body.initial_state or ()
        ],
        power_levels=body.power_level_content_override or {},
    )
    room_id = await call.services.rooms.room_creation.create(call.requester, new)
    if not call.requester.shadow_banned:
        await third_party_invites.offer_all(call.user_id, room_id, pending)
    return wire.RoomCreated(room_id=room_id)


def _address(invite: wire.ThirdPartyInvite) -> Address:
    return Address(
        id_server=invite.id_server,
        access_token=invite.id_access_token,
        medium=invite.medium,
        address=invite.address,
    )
