"""Schema violations and server errors of a run, read from JSONL, counted and grouped.

A violation is ``{"operation", "method", "path", "status", "pointer", "message", "test"?, "of"?}``; an access
record is ``{"operation", "method", "path", "status", "time", "test"?}``. The first says that something was
not what the spec's schema allows, and what (``of`` is one of OF), the second that a request was answered.
``operation`` is an ``api/operationId`` key, or null where the spec knows none.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RECEIVED = "received"
OF = ("answer", "request", RECEIVED)
"""What a violation is in: what a server answered, what it asked of another, what that answered."""
_ITEM = re.compile(r"/(?:\d+|[@!#$][^/]*)(?=/|$)")
"""A list index, or the ID of a user, a room, an event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Records of one operation (or method and path, where it is unknown), status and place.

    ``pointer`` has ``*`` for list indices and IDs, and is empty for server errors. ``message`` and ``path``
    are the first record's.
    """

    operation: str
    status: int
    pointer: str
    count: int
    message: str
    path: str
    tests: tuple[str, ...]
    of: str = OF[0]


def read_records(paths: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """Yield the objects of JSONL files, a line at a time; a torn or foreign line is passed over.

    A server that is killed in the middle of a line must not take the report down with it.
    """
    for path in paths:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    record = json.loads(line)
                except ValueError:
                    continue
                if isinstance(record, dict):
                    yield record


def group_violations(records: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Return the violations by what they are in, operation, status and pointer, the most frequent first."""
    members: defaultdict[tuple[str, str, int, str], list[Mapping[str, Any]]] = defaultdict(list)
    for record in records:
        pointer = _ITEM.sub("/*", str(record.get("pointer", "")))
        of = record.get("of") if record.get("of") in OF else OF[0]
        members[(str(of), _name(record), _status(record), pointer)].append(record)
    groups = [_group(*place, found) for place, found in members.items()]
    return sorted(
        groups, key=lambda group: (-group.count, group.operation, group.status, group.pointer, group.of)
    )


def group_server_errors(records: Iterable[Mapping[str, Any]]) -> list[Group]:
    """Return the responses of 500 and above by operation and status, the most frequent first."""
    return group_violations(record for record in records if _status(record) >= 500)


def _group(of: str, operation: str, status: int, pointer: str, found: list[Mapping[str, Any]]) -> Group:
    return Group(
        operation=operation,
        status=status,
        pointer=pointer,
        count=len(found),
        message=str(found[0].get("message", "")),
        path=str(found[0].get("path", "")),
        of=of,
        tests=tuple(sorted({str(record["test"]) for record in found if record.get("test")})),
    )


def operation_calls(records: Iterable[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Return (Unix time, operation key) of each access record that has both."""
    return [
        (float(record["time"]), record["operation"])
        for record in records
        if record.get("operation") and isinstance(record.get("time"), int | float)
    ]


def _name(record: Mapping[str, Any]) -> str:
    return str(record.get("operation") or f"{record.get('method', '?')} {record.get('path', '?')}")


def _status(record: Mapping[str, Any]) -> int:
    status = record.get("status")
    return status if isinstance(status, int) else 0
