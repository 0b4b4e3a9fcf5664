"""What relates to an event, and threads (spec: client-server API, "Relationships API", "Threading")."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw

from palpo.wire.endpoint import Endpoint, EventParams, NoBody, Response, RoomParams, client


class RelationsParams(EventParams, frozen=True):
    """The parent event, and a page of its children."""

    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    limit: int | None = None
    dir: Literal["b", "f"] = "b"
    recurse: bool | None = None
    unstable_recurse: bool | None = msgspec.field(name="org.matrix.msc3981.recurse", default=None)


class TypedRelationsParams(RelationsParams, frozen=True, kw_only=True):
    """Children that relate in one way."""

    rel_type: str


class FullyTypedRelationsParams(TypedRelationsParams, frozen=True, kw_only=True):
    """Children that relate in one way and are of one type."""

    event_type: str


class RelatedEvents(Response, frozen=True):
    """A page of children."""

    chunk: list[Raw]
    next_batch: str | None = None
    prev_batch: str | None = None
    recursion_depth: int | None = None


class ThreadsParams(RoomParams, frozen=True):
    """Which of a room's threads."""

    include: Literal["all", "participated"] = "all"
    limit: int = 10
    from_: str | None = msgspec.field(name="from", default=None)


class Threads(Response, frozen=True):
    """A page of thread roots."""

    chunk: list[Raw]
    next_batch: str | None = None


_PATH = "/rooms/{room_id}/relations/{event_id}"

get_relating_events: Endpoint[RelationsParams, NoBody, RelatedEvents] = Endpoint(
    operation_id="getRelatingEvents",
    method="GET",
    paths=client(_PATH, "v1"),
    params=RelationsParams,
    response=RelatedEvents,
    large_answer=True,
)

get_relating_events_by_type: Endpoint[TypedRelationsParams, NoBody, RelatedEvents] = Endpoint(
    operation_id="getRelatingEventsWithRelType",
    method="GET",
    paths=client(_PATH + "/{rel_type}", "v1"),
    params=TypedRelationsParams,
    response=RelatedEvents,
    large_answer=True,
)

get_relating_events_by_types: Endpoint[FullyTypedRelationsParams, NoBody, RelatedEvents] = Endpoint(
    operation_id="getRelatingEventsWithRelTypeAndEventType",
    method="GET",
    paths=client(_PATH + "/{rel_type}/{event_type}", "v1"),
    params=FullyTypedRelationsParams,
    response=RelatedEvents,
    large_answer=True,
)

get_thread_roots: Endpoint[ThreadsParams, NoBody, Threads] = Endpoint(
    operation_id="getThreadRoots",
    method="GET",
    paths=client("/rooms/{room_id}/threads", "v1"),
    params=ThreadsParams,
    response=Threads,
    large_answer=True,
)
