"""Reporting what is inappropriate (spec: client-server API, "Reporting Content")."""

from __future__ import annotations

from palpo.wire.endpoint import Auth, Body, Empty, Endpoint, Limit, Params, client


class Room(Params, frozen=True):
    """A room."""

    room_id: str


class EventOfRoom(Params, frozen=True):
    """An event of a room."""

    room_id: str
    event_id: str


class User(Params, frozen=True):
    """A user."""

    user_id: str


class Report(Body, frozen=True):
    """Why."""

    reason: str


class EventReport(Body, frozen=True):
    """Why, and from older clients how bad it is: from -100 to 0."""

    reason: str | None = None
    score: int | None = None


report_room: Endpoint[Room, Report, Empty] = Endpoint(
    operation_id="reportRoom",
    method="POST",
    paths=client("/rooms/{room_id}/report", unstable=("org.matrix.msc4151",)),
    auth=Auth.ACCESS_TOKEN,
    limit=Limit.REPORT,
    params=Room,
    body=Report,
)

report_event: Endpoint[EventOfRoom, EventReport, Empty] = Endpoint(
    operation_id="reportEvent",
    method="POST",
    paths=client("/rooms/{room_id}/report/{event_id}"),
    auth=Auth.ACCESS_TOKEN,
    limit=Limit.REPORT,
    params=EventOfRoom,
    body=EventReport,
)

report_user: Endpoint[User, Report, Empty] = Endpoint(
    operation_id="reportUser",
    method="POST",
    paths=client("/users/{user_id}/report", unstable=("org.matrix.msc4260",)),
    auth=Auth.ACCESS_TOKEN,
    limit=Limit.REPORT,
    params=User,
    body=Report,
)
