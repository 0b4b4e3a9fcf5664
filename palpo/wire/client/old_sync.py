"""What came before /sync, and peeking (spec: client-server API, ``/initialSync`` and ``/events``)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from palpo.core.identifiers import EventId, RoomId
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Params, Response, RoomParams, client


class RoomInitialSyncParams(RoomParams, frozen=True):
    """The room to look at."""

    limit: int = 20


class PaginationChunk(Response, frozen=True):
    """The newest messages of a room, oldest first."""

    start: str
    end: str
    chunk: list[Raw]


class RoomInfo(Response, frozen=True):
    """A room as it is now, or as it was when the user left it."""

    room_id: str
    membership: str
    """``leave`` for who only looks at the room."""
    invite: Raw | None = None
    messages: PaginationChunk | None = None
    state: list[Raw] | None = None
    visibility: str | None = None
    account_data: list[dict[str, Any]] | None = None


class InitialSyncParams(Params, frozen=True):
    """How much of the user's rooms."""

    limit: int = 20
    archived: bool = False


class InitialSync(Response, frozen=True):
    """Everything of a user's."""

    end: str
    rooms: list[RoomInfo]
    presence: list[Raw]
    account_data: list[dict[str, Any]]


class EventsParams(Params, frozen=True):
    """Where to listen, and how long."""

    from_: str | None = msgspec.field(name="from", default=None)
    timeout: int = 0
    """Milliseconds."""
    room_id: RoomId | None = None
    """Only this room, which the user need not be in."""


class Events(Response, frozen=True):
    """What happened."""

    start: str
    end: str
    chunk: list[Raw]


class OneEventParams(Params, frozen=True):
    """One event, whatever its room."""

    event_id: EventId


room_initial_sync: Endpoint[RoomInitialSyncParams, NoBody, RoomInfo] = Endpoint(
    operation_id="roomInitialSync",
    method="GET",
    paths=client("/rooms/{room_id}/initialSync"),
    auth=Auth.GUEST,
    limit=Limit.SYNC,
    params=RoomInitialSyncParams,
    response=RoomInfo,
    large_answer=True,
)

initial_sync: Endpoint[InitialSyncParams, NoBody, InitialSync] = Endpoint(
    operation_id="initialSync",
    method="GET",
    paths=client("/initialSync"),
    limit=Limit.SYNC,
    params=InitialSyncParams,
    response=InitialSync,
    deprecated=True,
    large_answer=True,
)

get_events: Endpoint[EventsParams, NoBody, Events] = Endpoint(
    operation_id="getEvents",
    also=("peekEvents",),
    method="GET",
    paths=client("/events"),
    auth=Auth.GUEST,
    limit=Limit.SYNC,
    params=EventsParams,
    response=Events,
    deprecated=True,
)

get_one_event: Endpoint[OneEventParams, NoBody, Raw] = Endpoint(
    operation_id="getOneEvent",
    method="GET",
    paths=client("/events/{event_id}"),
    params=OneEventParams,
    response=Raw,
    deprecated=True,
)
