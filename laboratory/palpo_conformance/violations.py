"""Schema violations and server errors of a run, read from JSONL, counted and grouped.

A violation is ``{"operation", "method", "path", "status", "pointer", "message", "test"?}``; an access record
is ``{"operation"?, "method", "path", "status", "time"?, "test"?}``. The first says that a response was not
what the spec's schema allows, the second that a request was answered. ``operation`` is an operation ID or an
``api/operationId`` key, and ``operation_id`` does as well; an ID alone gets its API from the path.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_APIS = (
    ("/_matrix/federation/", "server-server"),
    ("/_matrix/key/", "server-server"),
    ("/.well-known/matrix/server", "server-server"),
    ("/_matrix/app/", "application-service"),
    ("/_matrix/identity/", "identity"),
    ("/_matrix/push/", "push-gateway"),
)
_INDEX = re.compile(r"/\d+(?=/|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ViolationGroup:
    """Violations of one operation, status and place. ``pointer`` has ``*`` for list indices."""

    operation: str
    status: int
    pointer: str
    count: int
    message: str
    path: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerErrorGroup:
    """Responses of 500 and above to one operation (or method and path, where it is unknown)."""

    operation: str
    status: int
    count: int
    path: str
    tests: tuple[str, ...]


@dataclass(slots=True)
class _Group:
    count: int = 0
    message: str = ""
    path: str = ""
    tests: set[str] = field(default_factory=set)

    def add(self, record: Mapping[str, Any]) -> None:
        if not self.count:
            self.message, self.path = str(record.get("message", "")), str(record.get("path", ""))
        self.count += 1
        if record.get("test"):
            self.tests.add(str(record["test"]))


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


def group_violations(records: Iterable[Mapping[str, Any]]) -> list[ViolationGroup]:
    """Return the violations by operation, status and pointer, the most frequent first."""
    groups: dict[tuple[str, int, str], _Group] = {}
    for record in records:
        pointer = _INDEX.sub("/*", str(record.get("pointer", "")))
        groups.setdefault((_name(record), _status(record), pointer), _Group()).add(record)
    found = [
        ViolationGroup(
            operation=operation,
            status=status,
            pointer=pointer,
            count=group.count,
            message=group.message,
            path=group.path,
            tests=tuple(sorted(group.tests)),
        )
        for (operation, status, pointer), group in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.operation, group.status, group.pointer))


def group_server_errors(records: Iterable[Mapping[str, Any]]) -> list[ServerErrorGroup]:
    """Return the responses of 500 and above by operation and status, the most frequent first."""
    groups: dict[tuple[str, int], _Group] = {}
    for record in records:
        if _status(record) >= 500:
            groups.setdefault((_name(record), _status(record)), _Group()).add(record)
    found = [
        ServerErrorGroup(
            operation=operation,
            status=status,
            count=group.count,
            path=group.path,
            tests=tuple(sorted(group.tests)),
        )
        for (operation, status), group in groups.items()
    ]
    return sorted(found, key=lambda group: (-group.count, group.operation, group.status))


def operation_key(record: Mapping[str, Any]) -> str | None:
    """Return a record's ``api/operationId`` key; None when the record names no operation."""
    operation = record.get("operation") or record.get("operation_id")
    if not operation:
        return None
    if "/" in str(operation):
        return str(operation)
    path = str(record.get("path", ""))
    api = next((api for prefix, api in _APIS if path.startswith(prefix)), "client-server")
    return f"{api}/{operation}"


def operation_calls(records: Iterable[Mapping[str, Any]]) -> list[tuple[float, str]]:
    """Return (Unix time, operation key) of each access record that has both."""
    return [
        (float(record["time"]), key)
        for record in records
        if isinstance(record.get("time"), int | float) and (key := operation_key(record))
    ]


def _name(record: Mapping[str, Any]) -> str:
    return operation_key(record) or f"{record.get('method', '?')} {record.get('path', '?')}"


def _status(record: Mapping[str, Any]) -> int:
    status = record.get("status")
    return status if isinstance(status, int) else 0
