"""What is known of an event, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from palpo.cli.people import minute

if TYPE_CHECKING:
    from palpo.services.federation.fetching.room_resync import Resynced
    from palpo.services.federation.receiving.event_reports import EventReport, Fate, Looked

MAX_CHANGES = 200
"""Lines of one room's state."""
MARKS = {True: "ok", False: "no", None: "  "}


def lines_of(report: EventReport, now_ms: int) -> Iterator[str]:
    """All of it."""
    yield f"{report.event_id}  {report.fate}"
    yield f"  room     {report.room_id}"
    if report.type is not None:
        key = "" if report.state_key is None else f" of {report.state_key!r}"
        yield f"  event    {report.type}{key}, sent by {report.sender} at {minute(report.origin_server_ts)}"
    if report.origin is not None:
        yield f"  from     {report.origin}"
    if report.redacted_by is not None:
        yield f"  redacted by {report.redacted_by}"
    yield from _wait(report, now_ms)
    for looked in report.checks:
        yield _check(looked)
    if not report.is_content_whole:
        yield "  !!  the content hash is of something else: it is kept as if it were redacted"
    yield from _refusal(report)
    yield from _events("comes after", report.prev_events)
    yield from _events("rests on", report.auth_events)


def lines_of_changes(done: Resynced) -> Iterator[str]:
    """What of a room's state has changed."""
    yield f"{len(done.changes)} entries of the state have changed, by {done.server}"
    for change in done.changes[:MAX_CHANGES]:
        yield f"  {change.type} {change.state_key!r}: {change.was or 'not set'} -> {change.now or 'not set'}"
    if len(done.changes) > MAX_CHANGES:
        yield f"  and {len(done.changes) - MAX_CHANGES} more"


def _check(looked: Looked) -> str:
    reason = f": {looked.reason}" if looked.reason else ""
    return f"  {MARKS[looked.passed]}  {looked.check.replace('_', ' ')}{reason}".rstrip()


def _wait(report: EventReport, now_ms: int) -> Iterator[str]:
    wait = report.wait
    if wait is None:
        return
    again_s = max(0, wait.next_ts - now_ms) // 1000
    yield f"  waits    since {minute(report.noted_ts)}, tried {wait.tries} times, again in {again_s} s"
    if wait.why is not None:
        yield f"           {wait.why}"
    for name in wait.missing:
        yield f"  for      {name}"


def _refusal(report: EventReport) -> Iterator[str]:
    from palpo.services.federation.receiving.event_reports import Fate

    if report.fate in (Fate.SOFT_FAILED, Fate.REJECTED) and report.noted_ts is None:
        yield "  why is not known: it was refused before this was noted"
    elif report.was_refused is not None:
        was = report.was_refused
        check = was.refused_by.replace("_", " ")
        yield f"  had been refused at {minute(was.refused_ts)}, {check}: {was.reason}"
    elif report.noted_ts is not None and report.wait is None:
        yield f"  refused at {minute(report.noted_ts)}"


def _events(what: str, events: Mapping[str, Fate] | None) -> Iterator[str]:
    if events:
        yield f"  {what}"
        for name, fate in events.items():
            yield f"    {name}  {fate}"
