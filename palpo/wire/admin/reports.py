"""Reports of events and of users, for administrators (Synapse's "Event reports" API, and its like)."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.wire.admin.common import Count, Direction, PageParams, admin
from palpo.wire.endpoint import Auth, Endpoint, NoBody, Params, Response


class ReportsParams(PageParams, frozen=True):
    """A page of the list, and of whose reports, of which room's and of whose events.

    The first two are parts of IDs; empty text is not looked for.
    """

    dir: Direction = Direction.BACKWARDS
    in_user_id: str | None = msgspec.field(name="user_id", default=None)
    in_room_id: str | None = msgspec.field(name="room_id", default=None)
    event_sender_user_id: str | None = None


class UserReportsParams(PageParams, frozen=True):
    """A page of the list, and of whose reports and of whom: parts of IDs."""

    dir: Direction = Direction.BACKWARDS
    in_user_id: str | None = msgspec.field(name="user_id", default=None)
    in_target_user_id: str | None = msgspec.field(name="target_user_id", default=None)


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


class UserReport(Response, frozen=True):
    """A report of a user; ``received_ts`` in milliseconds since the Unix epoch."""

    id: int
    received_ts: int
    target_user_id: str
    """Who is reported."""
    user_id: str
    """Who reported them."""
    reason: str


class UserReports(Response, frozen=True):
    """A page of reports of users."""

    user_reports: list[UserReport]
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

# Synapse's documentation does not have these, but dashboards do.
list_user_reports: Endpoint[UserReportsParams, NoBody, UserReports] = Endpoint(
    operation_id="synapse.listUserReports",
    method="GET",
    paths=admin("/user_reports"),
    auth=Auth.ADMIN,
    params=UserReportsParams,
    response=UserReports,
)
get_user_report: Endpoint[ReportParams, NoBody, UserReport] = Endpoint(
    operation_id="synapse.getUserReport",
    method="GET",
    paths=admin("/user_reports/{report_id}"),
    auth=Auth.ADMIN,
    params=ReportParams,
    response=UserReport,
)
delete_user_report: Endpoint[ReportParams, NoBody, None] = Endpoint(
    operation_id="synapse.deleteUserReport",
    method="DELETE",
    paths=admin("/user_reports/{report_id}"),
    auth=Auth.ADMIN,
    params=ReportParams,
)
