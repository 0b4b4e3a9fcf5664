"""Other servers, for administrators (Synapse's "Federation API")."""

from __future__ import annotations

from enum import Enum

from palpo.wire.admin.common import Direction, PageParams, admin
from palpo.wire.endpoint import Auth, Endpoint, NoBody, Params, Response


class DestinationParams(Params, frozen=True):
    """A server, in the path."""

    destination: str


class DestinationOrder(Enum):
    """What the list is sorted by."""

    DESTINATION = "destination"
    RETRY_LAST_TS = "retry_last_ts"
    RETRY_INTERVAL = "retry_interval"
    FAILURE_TS = "failure_ts"
    LAST_SUCCESSFUL = "last_successful_stream_ordering"


class DestinationsParams(PageParams, frozen=True):
    """A page of the list."""

    order_by: DestinationOrder = DestinationOrder.DESTINATION
    dir: Direction = Direction.FORWARDS
    destination: str | None = None
    """Only those whose names have this in them."""


class Destination(Response, frozen=True):
    """A server. Times are milliseconds; what has no time is 0 or None, as in Synapse."""

    destination: str
    retry_last_ts: int
    retry_interval: int
    failure_ts: int | None
    last_successful_stream_ordering: int | None


class Destinations(Response, frozen=True):
    """A page of servers."""

    destinations: list[Destination]
    total: int
    next_token: str | None = None


class DestinationRoomsParams(PageParams, frozen=True, kw_only=True):
    """A page of the rooms that a server is in."""

    destination: str
    dir: Direction = Direction.FORWARDS


class DestinationRoom(Response, frozen=True):
    """A room, and the position of the newest event that the server has been told of."""

    room_id: str
    stream_ordering: int


class DestinationRooms(Response, frozen=True):
    """A page of rooms."""

    rooms: list[DestinationRoom]
    total: int
    next_token: str | None = None


list_destinations: Endpoint[DestinationsParams, NoBody, Destinations] = Endpoint(
    operation_id="synapse.listDestinations",
    method="GET",
    paths=admin("/federation/destinations"),
    auth=Auth.ADMIN,
    params=DestinationsParams,
    response=Destinations,
)
get_destination: Endpoint[DestinationParams, NoBody, Destination] = Endpoint(
    operation_id="synapse.getDestination",
    method="GET",
    paths=admin("/federation/destinations/{destination}"),
    auth=Auth.ADMIN,
    params=DestinationParams,
    response=Destination,
)
list_destination_rooms: Endpoint[DestinationRoomsParams, NoBody, DestinationRooms] = Endpoint(
    operation_id="synapse.listDestinationRooms",
    method="GET",
    paths=admin("/federation/destinations/{destination}/rooms"),
    auth=Auth.ADMIN,
    params=DestinationRoomsParams,
    response=DestinationRooms,
)
reset_connection: Endpoint[DestinationParams, NoBody, None] = Endpoint(
    operation_id="synapse.resetConnection",
    method="POST",
    paths=admin("/federation/destinations/{destination}/reset_connection"),
    auth=Auth.ADMIN,
    params=DestinationParams,
)
