"""Reads the events of Go's ``cmd/test2json``."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .model import Status, TestResult
from .suite import Key, Suite, load_suite

ENDS = {"pass": Status.PASS, "fail": Status.FAIL, "skip": Status.SKIP}
_STARTS = frozenset({"run", "output", "pause", "cont"})
_TAIL = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOutcome:
    """How a package ended. ``tail`` is the end of its output."""

    package: str
    status: Status
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoOutcome:
    """Everything an event stream says: its tests, its packages and the lines that were no events."""

    results: list[TestResult]
    packages: list[PackageOutcome]
    noise: tuple[str, ...]


@dataclass(slots=True)
class _Open:
    started: float | None = None
    last: float | None = None
    status: Status | None = None
    duration: float | None = None


@dataclass(slots=True)
class _Reader:
    suite: Suite
    tests: dict[Key, _Open] = field(default_factory=dict)
    packages: dict[str, Status | None] = field(default_factory=dict)
    output: dict[str, deque[str]] = field(default_factory=dict)
    noise: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL))

    def feed(self, line: str) -> None:
        event = _decode(line)
        if event is None:
            if line.strip():
                self.noise.append(line.rstrip("\n"))
            return
        action = str(event.get("Action", ""))
        if isinstance(event.get("Package"), str):
            package = self.suite.short_package(event["Package"])
            test = event.get("Test")
            if isinstance(test, str) and test:
                self._test((package, test), action, event)
            else:
                self._package(package, action, event)

    def _package(self, package: str, action: str, event: dict[str, Any]) -> None:
        self.packages.setdefault(package, None)
        if action in ENDS:
            self.packages[package] = ENDS[action]
        elif action == "output":
            self._keep(package, str(event.get("Output", "")))

    def _test(self, key: Key, action: str, event: dict[str, Any]) -> None:
        self.packages.setdefault(key[0], None)
        if action not in _STARTS and action not in ENDS:
            return
        time = _unix(event.get("Time"))
        if action == "run" or key not in self.tests:
            # A second "run" is a second try in the same stream: what it says replaces the first.
            self.tests[key] = _Open(started=time)
        entry = self.tests[key]
        entry.last = time if time is not None else entry.last
        if action in ENDS:
            elapsed = event.get("Elapsed")
            entry.status = ENDS[action]
            entry.duration = float(elapsed) if isinstance(elapsed, int | float) else None
        elif action == "output":
            self._keep(key[0], str(event.get("Output", "")))

    def _keep(self, package: str, text: str) -> None:
        self.output.setdefault(package, deque(maxlen=_TAIL)).append(text.rstrip("\n"))

    def outcome(self) -> GoOutcome:
        return GoOutcome(
            results=[_result(key, entry) for key, entry in sorted(self.tests.items())],
            packages=[self._outcome_of(name) for name in sorted(self.packages)],
            noise=tuple(self.noise),
        )

    def _outcome_of(self, package: str) -> PackageOutcome:
        # A package that never ended was killed with its process: that is a failure.
        status = self.packages[package] or Status.FAIL
        return PackageOutcome(
            package=package, status=status, tail=tuple(self.output.get(package, self.noise))
        )


def _result(key: Key, entry: _Open) -> TestResult:
    # Started and never ended: a panic, a timeout or a kill took it down, which is a failure.
    return TestResult(
        package=key[0],
        test=key[1],
        status=entry.status or Status.FAIL,
        duration=entry.duration,
        started=entry.started,
        ended=entry.last,
    )


def _decode(line: str) -> dict[str, Any] | None:
    if not line.lstrip().startswith("{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "Action" in event else None


def _unix(time: object) -> float | None:
    if not isinstance(time, str):
        return None
    try:
        return datetime.fromisoformat(time).timestamp()
    except ValueError:
        return None


def parse_go_stream(lines: Iterable[str | bytes], *, suite: Suite | None = None) -> GoOutcome:
    """Read an event stream of one or more packages. Lines that are no events are kept as noise.

    A test that never ended failed; one that never started is absent (``build_run`` adds it as not run).
    """
    reader = _Reader(suite=suite or load_suite())
    for line in lines:
        reader.feed(line.decode("utf-8", "replace") if isinstance(line, bytes) else line)
    return reader.outcome()
