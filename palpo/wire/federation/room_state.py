"""Rooms' states that servers ask each other for (spec: server-server API, "Retrieving events")."""

from __future__ import annotations

from msgspec import Raw

from palpo.core.identifiers import EventId
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Response, RoomParams, federation


class StateParams(RoomParams, frozen=True):
    """The event before which a room's state is wanted."""

    event_id: EventId


class State(Response, frozen=True):
    """A state, and what its events rest on."""

    pdus: list[Raw]
    auth_chain: list[Raw]


class StateIds(Response, frozen=True):
    """The same, by event ID."""

    pdu_ids: list[str]
    auth_chain_ids: list[str]


get_room_state: Endpoint[StateParams, NoBody, State] = Endpoint(
    operation_id="getRoomState",
    method="GET",
    paths=federation("/state/{room_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=StateParams,
    response=State,
    api="server-server",
    large_answer=True,
)

get_room_state_ids: Endpoint[StateParams, NoBody, StateIds] = Endpoint(
    operation_id="getRoomStateIds",
    method="GET",
    paths=federation("/state_ids/{room_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=StateParams,
    response=StateIds,
    api="server-server",
    large_answer=True,
)
