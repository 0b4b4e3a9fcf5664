"""Rooms, for administrators (Synapse's "Rooms" and "Edit Room Membership" APIs)."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import msgspec
from msgspec import Raw

from palpo.core.identifiers import EventId, RoomAlias, RoomId, UserId
from palpo.wire.admin.common import Count, Direction, Milliseconds, PageParams, SearchTerm, admin
from palpo.wire.client.room_overviews import SpaceRoom
from palpo.wire.client.timeline import Context, ContextParams, EventNearTime, Messages, MessagesParams
from palpo.wire.endpoint import Auth, Body, Endpoint, NoBody, Params, Response, RoomParams


class RoomOrder(Enum):
    """What the list is sorted by."""

    ALPHABETICAL = "alphabetical"
    SIZE = "size"
    NAME = "name"
    CANONICAL_ALIAS = "canonical_alias"
    JOINED_MEMBERS = "joined_members"
    JOINED_LOCAL_MEMBERS = "joined_local_members"
    VERSION = "version"
    CREATOR = "creator"
    ENCRYPTION = "encryption"
    FEDERATABLE = "federatable"
    PUBLIC = "public"
    JOIN_RULES = "join_rules"
    GUEST_ACCESS = "guest_access"
    HISTORY_VISIBILITY = "history_visibility"
    STATE_EVENTS = "state_events"


class RoomsParams(PageParams, frozen=True):
    """A page of the list."""

    order_by: RoomOrder = RoomOrder.NAME
    dir: Direction = Direction.FORWARDS
    search_term: SearchTerm | None = None
    public_rooms: bool | None = None
    empty_rooms: bool | None = None


class Room(Response, frozen=True):
    """A room."""

    room_id: str
    name: str | None
    canonical_alias: str | None
    joined_members: int
    joined_local_members: int
    version: str
    creator: str | None
    encryption: str | None
    federatable: bool
    public: bool
    join_rules: str | None
    guest_access: str | None
    history_visibility: str | None
    state_events: int
    room_type: str | None


class Rooms(Response, frozen=True):
    """A page of rooms."""

    rooms: list[Room]
    offset: int
    total_rooms: int
    next_batch: int | None = None
    prev_batch: int | None = None


class RoomDetails(Room, frozen=True):
    """A room, with what the list does not have."""

    topic: str | None
    avatar: str | None
    joined_local_devices: int
    forgotten: bool
    tombstoned: bool
    replacement_room: str | None


class Members(Response, frozen=True):
    """Who is in a room."""

    members: list[str]
    total: int


class StateParams(RoomParams, frozen=True):
    """A room's state, or its events of one type."""

    type: str | None = None


class State(Response, frozen=True):
    """The events of a room's current state."""

    state: list[Raw]


class TimestampParams(RoomParams, frozen=True):
    """A time, and the direction to look in from there."""

    ts: Milliseconds
    dir: Direction = Direction.FORWARDS


class HierarchyParams(RoomParams, frozen=True):
    """A space, and how much of it is wanted."""

    from_: Count = msgspec.field(name="from", default=0)
    limit: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 50
    max_depth: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class Hierarchy(Response, frozen=True):
    """Some rooms of a space."""

    rooms: list[SpaceRoom]
    next_batch: str | None = None


class Block(Body, frozen=True):
    """Whether users here are kept out."""

    block: bool


class Blocked(Response, frozen=True):
    """Whether they are, and by whom."""

    block: bool
    user_id: str | None = None


class RoomOrAliasParams(Params, frozen=True):
    """A room, by its ID or an alias."""

    room_id_or_alias: RoomId | RoomAlias


class NewAdmin(Body, frozen=True):
    """Who is to have power; the administrator who asks, if nobody is named."""

    user_id: UserId | None = None


class Extremity(Response, frozen=True):
    """An event that nothing refers to yet; ``state_group`` tells states apart."""

    event_id: str
    state_group: int
    depth: int
    received_ts: int


class Extremities(Response, frozen=True):
    """All of a room's."""

    count: int
    results: list[Extremity]


class Merged(Response, frozen=True):
    """How many are gone."""

    deleted: int


class Joining(Body, frozen=True):
    """Who is to join."""

    user_id: UserId


class Joined(Response, frozen=True):
    """The room that they are in."""

    room_id: str


class EventParams(Params, frozen=True):
    """An event, of whatever room."""

    event_id: EventId


class FetchedEvent(Response, frozen=True):
    """An event as servers exchange it."""

    event: dict[str, Any]


list_rooms: Endpoint[RoomsParams, NoBody, Rooms] = Endpoint(
    operation_id="synapse.listRooms",
    method="GET",
    paths=admin("/rooms"),
    auth=Auth.ADMIN,
    params=RoomsParams,
    response=Rooms,
)
get_room: Endpoint[RoomParams, NoBody, RoomDetails] = Endpoint(
    operation_id="synapse.getRoom",
    method="GET",
    paths=admin("/rooms/{room_id}"),
    auth=Auth.ADMIN,
    params=RoomParams,
    response=RoomDetails,
)
get_members: Endpoint[RoomParams, NoBody, Members] = Endpoint(
    operation_id="synapse.getRoomMembers",
    method="GET",
    paths=admin("/rooms/{room_id}/members"),
    auth=Auth.ADMIN,
    params=RoomParams,
    response=Members,
    large_answer=True,
)
get_state: Endpoint[StateParams, NoBody, State] = Endpoint(
    operation_id="synapse.getRoomState",
    method="GET",
    paths=admin("/rooms/{room_id}/state"),
    auth=Auth.ADMIN,
    params=StateParams,
    response=State,
    large_answer=True,
)
get_messages: Endpoint[MessagesParams, NoBody, Messages] = Endpoint(
    operation_id="synapse.getRoomMessages",
    method="GET",
    paths=admin("/rooms/{room_id}/messages"),
    auth=Auth.ADMIN,
    params=MessagesParams,
    response=Messages,
    large_answer=True,
)
get_context: Endpoint[ContextParams, NoBody, Context] = Endpoint(
    operation_id="synapse.getEventContext",
    method="GET",
    paths=admin("/rooms/{room_id}/context/{event_id}"),
    auth=Auth.ADMIN,
    params=ContextParams,
    response=Context,
    large_answer=True,
)
get_event_near: Endpoint[TimestampParams, NoBody, EventNearTime] = Endpoint(
    operation_id="synapse.getEventByTimestamp",
    method="GET",
    paths=admin("/rooms/{room_id}/timestamp_to_event"),
    auth=Auth.ADMIN,
    params=TimestampParams,
    response=EventNearTime,
)
get_hierarchy: Endpoint[HierarchyParams, NoBody, Hierarchy] = Endpoint(
    operation_id="synapse.getSpaceHierarchy",
    method="GET",
    paths=admin("/rooms/{room_id}/hierarchy"),
    auth=Auth.ADMIN,
    params=HierarchyParams,
    response=Hierarchy,
)
get_block: Endpoint[RoomParams, NoBody, Blocked] = Endpoint(
    operation_id="synapse.getRoomBlock",
    method="GET",
    paths=admin("/rooms/{room_id}/block"),
    auth=Auth.ADMIN,
    params=RoomParams,
    response=Blocked,
)
set_block: Endpoint[RoomParams, Block, Blocked] = Endpoint(
    operation_id="synapse.setRoomBlock",
    method="PUT",
    paths=admin("/rooms/{room_id}/block"),
    auth=Auth.ADMIN,
    params=RoomParams,
    body=Block,
    response=Blocked,
)
make_room_admin: Endpoint[RoomOrAliasParams, NewAdmin, None] = Endpoint(
    operation_id="synapse.makeRoomAdmin",
    method="POST",
    paths=admin("/rooms/{room_id_or_alias}/make_room_admin"),
    auth=Auth.ADMIN,
    params=RoomOrAliasParams,
    body=NewAdmin,
)
get_extremities: Endpoint[RoomOrAliasParams, NoBody, Extremities] = Endpoint(
    operation_id="synapse.getForwardExtremities",
    method="GET",
    paths=admin("/rooms/{room_id_or_alias}/forward_extremities"),
    auth=Auth.ADMIN,
    params=RoomOrAliasParams,
    response=Extremities,
)
delete_extremities: Endpoint[RoomOrAliasParams, NoBody, Merged] = Endpoint(
    operation_id="synapse.deleteForwardExtremities",
    method="DELETE",
    paths=admin("/rooms/{room_id_or_alias}/forward_extremities"),
    auth=Auth.ADMIN,
    params=RoomOrAliasParams,
    response=Merged,
)
join_room: Endpoint[RoomOrAliasParams, Joining, Joined] = Endpoint(
    operation_id="synapse.joinRoom",
    method="POST",
    paths=admin("/join/{room_id_or_alias}"),
    auth=Auth.ADMIN,
    params=RoomOrAliasParams,
    body=Joining,
    response=Joined,
)
fetch_event: Endpoint[EventParams, NoBody, FetchedEvent] = Endpoint(
    operation_id="synapse.fetchEvent",
    method="GET",
    paths=admin("/fetch_event/{event_id}"),
    auth=Auth.ADMIN,
    params=EventParams,
    response=FetchedEvent,
)
