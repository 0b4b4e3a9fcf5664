"""Joins by users of other servers."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from palpo.api.call import Call, Handlers, Reply
from palpo.api.codec import encode
from palpo.api.federation.memberships import template
from palpo.api.federation.pdu_streams import streamed
from palpo.core.membership import JOIN
from palpo.services.federation.serving.join_answers import JoinAnswer
from palpo.wire.endpoint import EventParams, Json, NoBody
from palpo.wire.federation import joins as wire
from palpo.wire.federation.memberships import Template

handlers = Handlers()


@handlers.serves(wire.make_join)
async def make_join(call: Call, params: wire.MakeJoinParams, body: NoBody) -> Template:
    """GET /make_join/{roomId}/{userId}."""
    return await template(call, params, JOIN, params.ver)


@handlers.serves(wire.send_join)
async def send_join(call: Call, params: wire.SendJoinParams, body: Json) -> Reply:
    """PUT /_matrix/federation/v2/send_join/{roomId}/{eventId}."""
    federation = call.services.federation
    if not params.omit_members:
        return _streamed(call, await _join(call, params, body))
    servers = await federation.join_answers.servers(params.room_id)
    joined = await federation.sent_memberships.take(call.origin, params.room_id, params.event_id, body, JOIN)
    return _streamed(call, await federation.join_answers.partial(joined, servers))


@handlers.serves(wire.send_join_v1)
async def send_join_v1(call: Call, params: EventParams, body: Json) -> Reply:
    """PUT /_matrix/federation/v1/send_join/{roomId}/{eventId}."""
    return _streamed(call, await _join(call, params, body), with_status=True)


async def _join(call: Call, params: EventParams, pdu: dict[str, Any]) -> JoinAnswer:
    federation = call.services.federation
    joined = await federation.sent_memberships.take(call.origin, params.room_id, params.event_id, pdu, JOIN)
    return await federation.join_answers.whole(joined)


def _streamed(call: Call, answer: JoinAnswer, *, with_status: bool = False) -> Reply:
    pdus = call.services.federation.served_state.pdus
    rest: dict[str, Any] = {"origin": call.services.server.name, "event": Raw(answer.event)}
    if answer.servers_in_room is not None:
        rest |= {"members_omitted": True, "servers_in_room": answer.servers_in_room}
    lists = {"state": pdus(answer.state), "auth_chain": pdus(answer.auth_chain)}
    return streamed(call, lists, encode(rest), with_status=with_status)
