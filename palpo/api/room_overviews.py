"""Overviews as responses have them."""

from __future__ import annotations

from typing import Any

from palpo.services.rooms.room_overviews import Overview


def published_fields(overview: Overview) -> dict[str, Any]:
    """The fields of ``PublishedRoom``."""
    return {
        "room_id": overview.room_id,
        "num_joined_members": overview.joined,
        "world_readable": overview.world_readable,
        "guest_can_join": overview.guest_can_join,
        "name": overview.name,
        "topic": overview.topic,
        "avatar_url": overview.avatar_url,
        "canonical_alias": overview.canonical_alias,
        "join_rule": overview.join_rule,
        "room_type": overview.room_type,
    }


def summary_fields(overview: Overview) -> dict[str, Any]:
    """The fields of ``RoomSummary`` that are the room's."""
    allowed = overview.allowed_room_ids
    return {
        **published_fields(overview),
        "room_version": overview.room_version,
        "encryption": overview.encryption,
        "allowed_room_ids": None if allowed is None else list(allowed),
    }
