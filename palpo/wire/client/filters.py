"""What clients want to see (spec: client-server API, "Filtering"). The structs only say what is there."""

from __future__ import annotations

from typing import Literal

import msgspec

from palpo.wire.endpoint import Body

Names = list[str] | None


class EventFilter(Body, frozen=True):
    """Events by type and sender."""

    limit: int | None = None
    types: Names = None
    not_types: Names = None
    """In both lists of types, ``*`` stands for any sequence of characters."""
    senders: Names = None
    not_senders: Names = None


class RoomEventFilter(EventFilter, frozen=True):
    """Events of rooms."""

    rooms: Names = None
    not_rooms: Names = None
    contains_url: bool | None = None
    lazy_load_members: bool | None = None
    include_redundant_members: bool | None = None
    unread_thread_notifications: bool | None = None
    related_by_senders: Names = None
    """Only events that one of these users has related an event to (MSC3440)."""
    related_by_rel_types: Names = None
    rel_types: Names = None
    """Only events that relate to another in one of these ways (MSC3874)."""
    not_rel_types: Names = None
    unstable_rel_types: Names = msgspec.field(name="org.matrix.msc3874.rel_types", default=None)
    unstable_not_rel_types: Names = msgspec.field(name="org.matrix.msc3874.not_rel_types", default=None)


StateFilter = RoomEventFilter
"""The state events to include for rooms."""


class RoomFilter(Body, frozen=True):
    """What to include of rooms."""

    rooms: Names = None
    not_rooms: Names = None
    include_leave: bool | None = None
    state: StateFilter | None = None
    timeline: RoomEventFilter | None = None
    ephemeral: RoomEventFilter | None = None
    account_data: RoomEventFilter | None = None


class Filter(Body, frozen=True):
    """A filter for ``/sync``."""

    event_fields: Names = None
    event_format: Literal["client", "federation"] | None = None
    presence: EventFilter | None = None
    account_data: EventFilter | None = None
    room: RoomFilter | None = None
