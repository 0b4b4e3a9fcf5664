"""Invites by users of other servers."""

from __future__ import annotations

from typing import Any

from palpo.api.call import Call, Handlers
from palpo.services.federation.serving.received_invites import ReceivedInvite
from palpo.wire.endpoint import EventParams, Json
from palpo.wire.federation import invites as wire

handlers = Handlers()


@handlers.serves(wire.send_invite)
async def send_invite(call: Call, params: EventParams, body: wire.Invite) -> wire.SignedInvite:
    """PUT /_matrix/federation/v2/invite/{roomId}/{eventId}."""
    signed = await _receive(call, params, body.room_version, body.event, body.invite_room_state or [])
    return wire.SignedInvite(event=signed)


@handlers.serves(wire.send_invite_v1)
async def send_invite_v1(call: Call, params: EventParams, body: Json) -> list[Any]:
    """PUT /_matrix/federation/v1/invite/{roomId}/{eventId}."""
    unsigned = body.get("unsigned")
    shown = unsigned.get("invite_room_state") if isinstance(unsigned, dict) else None
    shown = shown if isinstance(shown, list) else []
    return [200, {"event": await _receive(call, params, _version(shown), body, shown)}]


async def _receive(
    call: Call, params: EventParams, room_version: str, pdu: dict[str, Any], shown: list[Any]
) -> dict[str, Any]:
    invite = ReceivedInvite(
        origin=call.origin,
        room_id=params.room_id,
        event_id=params.event_id,
        room_version=room_version,
        pdu=pdu,
        shown=shown,
    )
    return await call.services.federation.received_invites.receive(invite)


def _version(shown: list[Any]) -> str:
    """The version of the room: 1, or 2 where its create event says so."""
    creates = [item for item in shown if isinstance(item, dict) and item.get("type") == "m.room.create"]
    content = creates[0].get("content") if creates else None
    return "2" if isinstance(content, dict) and content.get("room_version") == "2" else "1"
