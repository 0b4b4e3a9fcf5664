"""What is shown of a room to those who are not in it: shared by the directory, summaries and spaces."""

from __future__ import annotations

from typing import Any

from palpo.wire.endpoint import Response


class PublishedRoom(Response, frozen=True, kw_only=True):
    """A room of the directory."""

    room_id: str
    num_joined_members: int
    world_readable: bool
    guest_can_join: bool
    name: str | None = None
    topic: str | None = None
    avatar_url: str | None = None
    canonical_alias: str | None = None
    join_rule: str | None = None
    room_type: str | None = None


class RoomSummary(PublishedRoom, frozen=True, kw_only=True):
    """A room's summary."""

    room_version: str | None = None
    encryption: str | None = None
    allowed_room_ids: list[str] | None = None
    membership: str | None = None


class SpaceRoom(RoomSummary, frozen=True, kw_only=True):
    """A room of a hierarchy."""

    children_state: list[dict[str, Any]]
