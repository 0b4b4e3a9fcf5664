"""Events that servers ask each other for (spec: server-server API, "Retrieving events", "Backfilling and
retrieving missing events", "Authorization rules")."""

from __future__ import annotations

from msgspec import Raw

from palpo.core.identifiers import EventId
from palpo.wire.endpoint import (
    Auth,
    Body,
    Endpoint,
    EventParams,
    Limit,
    NoBody,
    Params,
    Response,
    RoomParams,
    federation,
)


class OneEvent(Params, frozen=True):
    """An event of some room."""

    event_id: EventId


class Backfill(RoomParams, frozen=True):
    """Events, and how many there may be of them and of those before."""

    v: list[str]
    limit: int


class MissingEvents(Body, frozen=True):
    """What is asked for comes before ``latest_events``, and not before ``earliest_events``."""

    earliest_events: list[str]
    latest_events: list[str]
    limit: int = 10
    min_depth: int = 0


class Pdus(Response, frozen=True):
    """Events, as if they were sent in a transaction."""

    origin: str
    origin_server_ts: int
    pdus: list[Raw]


class Missing(Response, frozen=True):
    """Events, the oldest first."""

    events: list[Raw]


class AuthChain(Response, frozen=True):
    """Events, in no order."""

    auth_chain: list[Raw]


get_event: Endpoint[OneEvent, NoBody, Pdus] = Endpoint(
    operation_id="getEvent",
    method="GET",
    paths=federation("/event/{event_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=OneEvent,
    response=Pdus,
    api="server-server",
)

get_event_auth: Endpoint[EventParams, NoBody, AuthChain] = Endpoint(
    operation_id="getEventAuth",
    method="GET",
    paths=federation("/event_auth/{room_id}/{event_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=EventParams,
    response=AuthChain,
    api="server-server",
    large_answer=True,
)

backfill_room: Endpoint[Backfill, NoBody, Pdus] = Endpoint(
    operation_id="backfillRoom",
    method="GET",
    paths=federation("/backfill/{room_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=Backfill,
    response=Pdus,
    api="server-server",
    large_answer=True,
)

get_missing_events: Endpoint[RoomParams, MissingEvents, Missing] = Endpoint(
    operation_id="getMissingPreviousEvents",
    method="POST",
    paths=federation("/get_missing_events/{room_id}"),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=RoomParams,
    body=MissingEvents,
    response=Missing,
    api="server-server",
    large_answer=True,
)
