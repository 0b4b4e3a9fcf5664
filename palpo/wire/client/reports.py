"""Reporting what is inappropriate (spec: client-server API, "Reporting Content")."""

from __future__ import annotations

from palpo.wire.endpoint import Body, Endpoint, EventParams, Limit, RoomParams, UserParams, client


class Report(Body, frozen=True):
    """Why."""

    reason: str


class EventReport(Body, frozen=True):
    """Why, and from older clients how bad it is: from -100 to 0."""

    reason: str | None = None
    score: int | None = None


report_room: Endpoint[RoomParams, Report, None] = Endpoint(
    operation_id="reportRoom",
    method="POST",
    paths=client("/rooms/{room_id}/report", unstable=("org.matrix.msc4151",)),
    limit=Limit.REPORT,
    params=RoomParams,
    body=Report,
)

report_event: Endpoint[EventParams, EventReport, None] = Endpoint(
    operation_id="reportEvent",
    method="POST",
    paths=client("/rooms/{room_id}/report/{event_id}"),
    limit=Limit.REPORT,
    params=EventParams,
    body=EventReport,
)

report_user: Endpoint[UserParams, Report, None] = Endpoint(
    operation_id="reportUser",
    method="POST",
    paths=client("/users/{user_id}/report", unstable=("org.matrix.msc4260",)),
    limit=Limit.REPORT,
    params=UserParams,
    body=Report,
)
