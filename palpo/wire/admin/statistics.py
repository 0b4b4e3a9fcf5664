"""Who has most of what, for administrators (Synapse's "Statistics" API)."""

from __future__ import annotations

from enum import Enum

from palpo.wire.admin.common import Direction, Milliseconds, PageParams, SearchTerm, admin
from palpo.wire.endpoint import Auth, Endpoint, NoBody, NoParams, Response


class UsageOrder(Enum):
    """What the list is sorted by."""

    USER_ID = "user_id"
    DISPLAYNAME = "displayname"
    MEDIA_LENGTH = "media_length"
    MEDIA_COUNT = "media_count"


class UsageParams(PageParams, frozen=True):
    """A page of the list: of media that were uploaded within some time, by users who are searched for."""

    order_by: UsageOrder = UsageOrder.USER_ID
    dir: Direction = Direction.FORWARDS
    from_ts: Milliseconds = 0
    until_ts: Milliseconds | None = None
    search_term: SearchTerm | None = None


class Usage(Response, frozen=True):
    """What a user has uploaded; ``media_length`` in bytes."""

    user_id: str
    displayname: str | None
    media_count: int
    media_length: int


class Usages(Response, frozen=True):
    """A page of users."""

    users: list[Usage]
    total: int
    next_token: int | None = None


class RoomSize(Response, frozen=True):
    """About how many bytes of the database a room takes."""

    room_id: str
    estimated_size: int


class RoomSizes(Response, frozen=True):
    """The largest rooms, the largest first."""

    rooms: list[RoomSize]


media_usage: Endpoint[UsageParams, NoBody, Usages] = Endpoint(
    operation_id="synapse.listUsersMediaUsage",
    method="GET",
    paths=admin("/statistics/users/media"),
    auth=Auth.ADMIN,
    params=UsageParams,
    response=Usages,
)
room_sizes: Endpoint[NoParams, NoBody, RoomSizes] = Endpoint(
    operation_id="synapse.listLargestRooms",
    method="GET",
    paths=admin("/statistics/database/rooms"),
    auth=Auth.ADMIN,
    response=RoomSizes,
)
