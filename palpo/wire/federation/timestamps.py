"""Which event is nearest to a time (spec: server-server API, "Retrieving events"; MSC3030)."""

from __future__ import annotations

from typing import Literal

from palpo.core.identifiers import EventId
from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, Response, RoomParams, federation
from palpo.wire.identifiers import Checked


class TimestampQuery(RoomParams, frozen=True):
    """A time (ms since the Unix epoch), and the direction to look in from there."""

    ts: int
    dir: Literal["f", "b"]


class NearestEvent(Response, Checked, frozen=True):
    """The event that is nearest."""

    event_id: EventId
    origin_server_ts: int


get_event_by_timestamp: Endpoint[TimestampQuery, NoBody, NearestEvent] = Endpoint(
    operation_id="getEventByTimestamp",
    method="GET",
    paths=(
        *federation("/timestamp_to_event/{room_id}"),
        *federation("/timestamp_to_event/{room_id}", "unstable/org.matrix.msc3030"),
    ),
    auth=Auth.SERVER,
    limit=Limit.FEDERATION,
    params=TimestampQuery,
    response=NearestEvent,
    api="server-server",
)
