"""Grouping of schema violations and server errors, and whose operation a record is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from palpo_conformance.violations import (
    group_server_errors,
    group_violations,
    operation_calls,
    read_records,
)


def violation(pointer: str, **more: Any) -> dict[str, Any]:
    path = "/_matrix/client/v3/sync"
    return {
        "operation": "client-server/sync",
        "method": "GET",
        "path": path,
        "status": 200,
        "pointer": pointer,
        **more,
    }


def test_violations_are_grouped_without_their_list_indices_and_ids() -> None:
    groups = group_violations(
        [
            violation("/rooms/!a:b/name", message="other"),
            violation("/events/0/type", message="first", test="TestB"),
            violation("/events/17/type", message="second", test="TestA"),
        ]
    )
    assert [(g.operation, g.status, g.pointer, g.count) for g in groups] == [
        ("client-server/sync", 200, "/events/*/type", 2),
        ("client-server/sync", 200, "/rooms/*/name", 1),
    ]
    assert groups[0].message == "first"
    assert groups[0].of == "answer"
    assert groups[0].tests == ("TestA", "TestB")


def test_server_errors_are_500_and_above_also_without_an_operation() -> None:
    groups = group_server_errors(
        [
            {"operation": "client-server/sync", "path": "/_matrix/client/v3/sync", "status": 500},
            {"operation": "client-server/sync", "path": "/_matrix/client/v3/sync", "status": 499},
            {"method": "GET", "path": "/nowhere", "status": 503},
            {"method": "GET", "path": "/nowhere", "status": 503},
            {"method": "GET", "path": "/nowhere", "status": None},
        ]
    )
    assert [(g.operation, g.status, g.count) for g in groups] == [
        ("GET /nowhere", 503, 2),
        ("client-server/sync", 500, 1),
    ]


def test_calls_need_a_time_and_an_operation() -> None:
    record = {"operation": "client-server/sync", "path": "/_matrix/client/v3/sync", "time": 12}
    untimed, unnamed = {**record, "time": None}, {**record, "operation": None}
    assert operation_calls([record, untimed, unnamed]) == [(12.0, "client-server/sync")]


def test_torn_and_foreign_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "access.jsonl"
    path.write_bytes(b'{"status":200}\nplain\n[1]\n\xff\xfe\n{"status":500}\n{"stat')
    assert list(read_records([path])) == [{"status": 200}, {"status": 500}]


def test_what_others_answered_is_a_group_of_its_own() -> None:
    groups = group_violations(
        [violation("", of="received"), violation("", of="request"), violation("", of=7)]
    )
    assert [group.of for group in groups] == ["answer", "received", "request"]
