"""What is kept in memory of the log, and of slow requests."""

from __future__ import annotations

from dataclasses import replace

import pytest

from palpo.services.server.recent import (
    HOUR_MS,
    MAX_LINES,
    MAX_SLOW,
    MAX_TEXT,
    RecentLines,
    SlowRequest,
    SlowRequests,
)

SLOW = SlowRequest(
    at_ts=5 * HOUR_MS,
    operation="getThing",
    method="GET",
    path="/thing",
    status=200,
    seconds=1.0,
    user_id=None,
    request_id="a-1",
)


def kept(lines: RecentLines, **event: object) -> str:
    """What is shown of a line."""
    before = dict(event)
    assert lines.keep(None, "info", event) == before
    return lines.newest()[0].text


@pytest.mark.parametrize(
    "event",
    [
        {"event": "a", "password": "hunter2"},
        {"event": "a", "access_token": "hunter2"},
        {"event": "GET /x?access_token=hunter2&a=b"},
        {"event": 'it said {"password": "hunter2"}'},
        {"event": "a", "url": "postgresql://palpo:hunter2@localhost/palpo"},
        {"event": "Authorization: Bearer hunter2"},
        {"event": "a", "exception": "Traceback…\nValueError: client_secret='hunter2'"},
    ],
)
def test_no_secret_is_kept(event: dict[str, object]) -> None:
    assert "hunter2" not in kept(RecentLines(), **event)


def test_lines_are_found_by_level_and_text() -> None:
    lines = RecentLines()
    assert kept(lines, event="begun", level="info", room="!a:b") == "begun room=!a:b"
    assert kept(lines, event="odd", level="error", logger="lib", exception="Trace") == "lib: odd \nTrace"
    assert [line.text for line in lines.newest(level="warning")] == ["lib: odd \nTrace"]
    assert [line.text for line in lines.newest(text="BEGUN")] == ["begun room=!a:b"]
    assert len(lines.newest(level="nonsense")) == 2


def test_lines_are_bounded_and_requests_are_none() -> None:
    lines = RecentLines()
    for number in range(MAX_LINES + 10):
        lines.keep(None, "info", {"event": f"{number} {'x' * MAX_TEXT}"})
    lines.keep(None, "info", {"event": "request", "operation": "sync"})
    found = lines.newest()
    assert len(found) == MAX_LINES
    assert (len(found[0].text), found[0].text[:5]) == (MAX_TEXT, "1009 ")


def test_the_slowest_of_this_hour_and_the_last_are_kept() -> None:
    slow = SlowRequests()
    for number in range(2 * MAX_SLOW):
        slow.note(replace(SLOW, seconds=float(number)))
    assert [item.seconds for item in slow.slowest()[:2]] == [99.0, 98.0]
    assert len(slow.slowest()) == MAX_SLOW
    slow.note(replace(SLOW, at_ts=6 * HOUR_MS))
    assert len(slow.slowest()) == MAX_SLOW + 1
    slow.note(replace(SLOW, at_ts=8 * HOUR_MS))
    assert len(slow.slowest()) == 1
