"""What relates to an event, over several steps (MSC2836)."""

from __future__ import annotations

from typing import Literal

from msgspec import Raw

from palpo.core.identifiers import EventId, RoomId
from palpo.wire.endpoint import Body, Endpoint, NoParams, Response, draft


class EventRelationshipsRequest(Body, frozen=True):
    """Where a walk starts, which way it goes, and how far; negative numbers are no bounds."""

    event_id: EventId
    room_id: RoomId | None = None
    max_depth: int | None = None
    max_breadth: int | None = None
    limit: int | None = None
    depth_first: bool | None = None
    recent_first: bool | None = None
    include_parent: bool | None = None
    include_children: bool | None = None
    direction: Literal["up", "down"] | None = None
    batch: str | None = None


class EventRelationshipsResponse(Response, frozen=True):
    """The events, the nearest first, and whether there are more than the limit."""

    events: list[Raw]
    limited: bool


get_event_relationships: Endpoint[NoParams, EventRelationshipsRequest, EventRelationshipsResponse] = Endpoint(
    operation_id="msc2836.event_relationships",
    method="POST",
    paths=draft("/event_relationships"),
    body=EventRelationshipsRequest,
    response=EventRelationshipsResponse,
)
