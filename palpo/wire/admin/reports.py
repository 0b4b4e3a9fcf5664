"""Reports of events, for administrators (Synapse's "Event reports" API)."""

from __future__ import annotations

from typing import Any

from palpo.core.identifiers import RoomId, UserId
from palpo.wire.admin.common import Count, Direction, PageParams, admin
from palpo.wire.endpoint import Auth, Endpoint, NoBody, Params, Response


class ReportsParams(PageParams, frozen=True):
    """A page of the list, and of whose reports, of which room's and of whose events."""

    dir: Direction = Direction.BACKWARDS
    user_id: UserId | None = None
    room_id: RoomId | None = None
    event_sender_user_id: UserId | None = None


class ReportParams(Params, frozen=True):
    """A report, in the path."""

    report_id: Count


class Report(Response, frozen=True):
    """A report; ``received_ts`` in milliseconds since the Unix epoch."""

    id: int
    received_ts: int
    room_id: str
    name: str | None
    """The room's."""
    event_id: str
    user_id: str
    """Who reported it."""
    reason: str | None
    score: int | None
    sender: str | None
    canonical_alias: str | None


class ReportWithEvent(Report, frozen=True, kw_only=True):
    """A report, and the event as servers exchange it."""

    event_json: dict[str, Any]


class Reports(Response, frozen=True):
    """A page of reports."""

    event_reports: list[Report]
    total: int
    next_token: int | None = None


list_reports: Endpoint[ReportsParams, NoBody, Reports] = Endpoint(
    operation_id="synapse.listEventReports",
    method="GET",
    paths=admin("/event_reports"),
    auth=Auth.ADMIN,
    params=ReportsParams,
    response=Reports,
)
get_report: Endpoint[ReportParams, NoBody, ReportWithEvent] = Endpoint(
    operation_id="synapse.getEventReport",
    method="GET",
    paths=admin("/event_reports/{report_id}"),
    auth=Auth.ADMIN,
    params=ReportParams,
    response=ReportWithEvent,
)
delete_report: Endpoint[ReportParams, NoBody, None] = Endpoint(
    operation_id="synapse.deleteEventReport",
    method="DELETE",
    paths=admin("/event_reports/{report_id}"),
    auth=Auth.ADMIN,
    params=ReportParams,
)
