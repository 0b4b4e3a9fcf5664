"""Overviews as responses have them."""

from __future__ import annotations

from typing import Any

from palpo.core.errors import InvalidParam
from palpo.core.events import Event, stripped
from palpo.services.rooms.room_directory import DirectoryPage, DirectoryQuery
from palpo.services.rooms.room_overviews import Overview
from palpo.services.rooms.space_rooms import SpaceRoom
from palpo.wire.client import room_overviews as wire
from palpo.wire.client.room_directory import Filter, PublishedRooms, Query


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


def space_room(room: SpaceRoom) -> wire.SpaceRoom:
    """A room of a hierarchy."""
    children = [_child(event) for event in room.children]
    return wire.SpaceRoom(**summary_fields(room.overview), children_state=children)


def _child(event: Event) -> dict[str, Any]:
    return {**stripped(event), "origin_server_ts": event.origin_server_ts}


def directory_query(body: Query) -> DirectoryQuery:
    """What a request asks of a directory; raises InvalidParam."""
    if body.include_all_networks and body.third_party_instance_id is not None:
        raise InvalidParam("One network, or all of them")
    wanted = body.filter or Filter()
    return DirectoryQuery(
        search=wanted.generic_search_term,
        room_types=wanted.room_types,
        network_id=None if body.include_all_networks else body.third_party_instance_id or "",
        limit=body.limit,
        since=body.since,
    )


def published_rooms(page: DirectoryPage) -> PublishedRooms:
    """One page of a directory."""
    return PublishedRooms(
        chunk=[wire.PublishedRoom(**published_fields(room)) for room in page.rooms],
        next_batch=page.next_batch,
        prev_batch=page.prev_batch,
        total_room_count_estimate=page.total,
    )
