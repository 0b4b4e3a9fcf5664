"""Reading a room's history (spec: client-server API, "Getting events for a room")."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from palpo.wire.endpoint import Auth, Endpoint, EventParams, NoBody, Response, RoomParams, client

Direction = Literal["b", "f"]
"""``b`` goes back in time, ``f`` forward."""


class MessagesParams(RoomParams, frozen=True):
    """Which part of a room's history."""

    dir: Direction = "f"
    """Required by the spec; clients that leave it out have always been given the forward direction."""
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    limit: int = 10
    filter: str | None = None
    """A RoomEventFilter as JSON."""


class Messages(Response, frozen=True):
    """A page of a room's history."""

    start: str
    chunk: list[Raw]
    end: str | None = None
    state: list[Raw] | None = None


class ContextParams(EventParams, frozen=True):
    """The event whose surroundings are wanted."""

    limit: int = 10
    filter: str | None = None


class Context(Response, frozen=True):
    """An event and what is around it."""

    start: str
    end: str
    event: Raw
    events_before: list[Raw]
    events_after: list[Raw]
    state: list[Raw]


class TimestampParams(RoomParams, frozen=True):
    """A time, and the direction to look in from there."""

    ts: int
    """Milliseconds since the Unix epoch."""
    dir: Direction


class EventNearTime(Response, frozen=True):
    """The event that is nearest."""

    event_id: str
    origin_server_ts: int


get_room_events: Endpoint[MessagesParams, NoBody, Messages] = Endpoint(
    operation_id="getRoomEvents",
    method="GET",
    paths=client("/rooms/{room_id}/messages"),
    auth=Auth.GUEST,
    params=MessagesParams,
    response=Messages,
    large_answer=True,
)

get_event_context: Endpoint[ContextParams, NoBody, Context] = Endpoint(
    operation_id="getEventContext",
    method="GET",
    paths=client("/rooms/{room_id}/context/{event_id}"),
    auth=Auth.GUEST,
    params=ContextParams,
    response=Context,
    large_answer=True,
)

get_one_room_event: Endpoint[EventParams, NoBody, Raw] = Endpoint(
    operation_id="getOneRoomEvent",
    method="GET",
    paths=client("/rooms/{room_id}/event/{event_id}"),
    auth=Auth.GUEST,
    params=EventParams,
    response=Raw,
)

get_event_by_timestamp: Endpoint[TimestampParams, NoBody, EventNearTime] = Endpoint(
    operation_id="getEventByTimestamp",
    method="GET",
    paths=client("/rooms/{room_id}/timestamp_to_event", "v1", unstable=("org.matrix.msc3030",)),
    params=TimestampParams,
    response=EventNearTime,
)
