"""Reports of events and of users, for administrators."""

from __future__ import annotations

from typing import Any

import orjson

from palpo.api.call import Call, Handlers
from palpo.services.administration.reports import ShownReport
from palpo.wire.admin import reports as wire
from palpo.wire.admin.common import Direction
from palpo.wire.endpoint import NoBody

handlers = Handlers()


@handlers.serves(wire.list_reports)
async def list_reports(call: Call, params: wire.ReportsParams, body: NoBody) -> wire.Reports:
    """GET /_synapse/admin/v1/event_reports."""
    total, found = await call.services.administration.reports.page(
        backwards=params.dir is Direction.BACKWARDS,
        skipped=params.from_,
        limit=params.size,
        about="event",
        reporter=params.in_user_id,
        room_id=params.in_room_id,
        sender=params.event_sender_user_id,
    )
    return wire.Reports(
        event_reports=[wire.Report(**_report(item)) for item in found],
        total=total,
        next_token=params.next_token(total),
    )


@handlers.serves(wire.get_report)
async def get_report(call: Call, params: wire.ReportParams, body: NoBody) -> wire.ReportWithEvent:
    """GET /_synapse/admin/v1/event_reports/{report_id}."""
    reports = call.services.administration.reports
    found = await reports.get(params.report_id, about="event")
    event = orjson.loads(await reports.event_json(str(found.report.event_id)))
    event.setdefault("unsigned", {})["age_ts"] = event["origin_server_ts"]
    return wire.ReportWithEvent(**_report(found), event_json=event)


@handlers.serves(wire.delete_report)
async def delete_report(call: Call, params: wire.ReportParams, body: NoBody) -> None:
    """DELETE /_synapse/admin/v1/event_reports/{report_id}."""
    await call.services.administration.reports.delete(params.report_id, about="event")


@handlers.serves(wire.list_user_reports)
async def list_user_reports(call: Call, params: wire.UserReportsParams, body: NoBody) -> wire.UserReports:
    """GET /_synapse/admin/v1/user_reports."""
    total, found = await call.services.administration.reports.page(
        backwards=params.dir is Direction.BACKWARDS,
        skipped=params.from_,
        limit=params.size,
        about="user",
        reporter=params.in_user_id,
        reported=params.in_target_user_id,
    )
    return wire.UserReports(
        user_reports=[_user_report(item) for item in found],
        total=total,
        next_token=params.next_token(total),
    )


@handlers.serves(wire.get_user_report)
async def get_user_report(call: Call, params: wire.ReportParams, body: NoBody) -> wire.UserReport:
    """GET /_synapse/admin/v1/user_reports/{report_id}."""
    return _user_report(await call.services.administration.reports.get(params.report_id, about="user"))


@handlers.serves(wire.delete_user_report)
async def delete_user_report(call: Call, params: wire.ReportParams, body: NoBody) -> None:
    """DELETE /_synapse/admin/v1/user_reports/{report_id}."""
    await call.services.administration.reports.delete(params.report_id, about="user")


def _report(item: ShownReport) -> dict[str, Any]:
    report, room = item.report, item.room
    return {
        "id": report.position,
        "received_ts": report.received_ts,
        "room_id": report.room_id,
        "name": None if room is None else room.name,
        "event_id": report.event_id,
        "user_id": report.reporter,
        "reason": report.reason or None,
        "score": report.score,
        "sender": None if item.event is None else item.event.event.sender,
        "canonical_alias": None if room is None else room.canonical_alias,
    }


def _user_report(item: ShownReport) -> wire.UserReport:
    report = item.report
    return wire.UserReport(
        id=report.position,
        received_ts=report.received_ts,
        target_user_id=str(report.user_id),
        user_id=report.reporter,
        reason=report.reason,
    )
