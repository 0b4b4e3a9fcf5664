"""Invites by address across servers."""

from __future__ import annotations

from palpo.api.call import Call, Handlers
from palpo.core.errors import InvalidParam
from palpo.core.membership import INVITE
from palpo.core.state_keys import MEMBER
from palpo.services.federation.serving.third_party_exchanges import PendingInvite
from palpo.wire.endpoint import NoParams, RoomParams
from palpo.wire.federation import third_party_invites as wire

handlers = Handlers()


@handlers.serves(wire.exchange_third_party_invite)
async def exchange_third_party_invite(call: Call, params: RoomParams, body: wire.PartialInvite) -> None:
    """PUT /exchange_third_party_invite/{roomId}."""
    if body.type != MEMBER or body.content.membership != INVITE or body.room_id != params.room_id:
        raise InvalidParam("That is no invite to the room")
    invite = PendingInvite(
        room_id=body.room_id,
        sender=body.sender,
        user_id=body.state_key,
        signed=body.content.third_party_invite.signed,
    )
    await call.services.federation.third_party_exchanges.exchange(call.origin, invite)


@handlers.serves(wire.on_bind)
async def on_bind(call: Call, params: NoParams, body: wire.Binding) -> None:
    """PUT /3pid/onbind."""
    call.charge(max(len(body.invites) - 1, 0))
    invites = [
        PendingInvite(room_id=item.room_id, sender=item.sender, user_id=item.mxid, signed=item.signed)
        for item in body.invites
    ]
    await call.services.federation.third_party_exchanges.bound(body.mxid, invites)
