"""The ratchet: what a run may not do to the committed expectations.

``expectations.jsonl`` starts with a line for the suite's commit and the bound of the flaky list; then comes
a line for each test: ``{"package", "test", "expected"}``, and ``"flaky": cause`` for one that is known to
go either way. The list of those can be shortened freely; it grows only by raising the bound by hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from .files import BadResults, dump, read_lines, write_atomically
from .model import Run, Status, TestResult
from .suite import Key

# What hides a test is worse than what shows it failing.
_RANK = {Status.NOT_RUN: 0, Status.SKIP: 1, Status.FAIL: 2, Status.PASS: 3}


class ProblemKind(StrEnum):
    """Why the ratchet does not let a run through."""

    INCOMPLETE = "incomplete"
    OTHER_SUITE = "other_suite"
    PAIR = "pair"
    REGRESSION = "regression"
    STALE = "stale"
    VANISHED = "vanished"
    NEW = "new"
    FLAKY = "flaky"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One reason. ``package`` and ``test`` are None when it concerns the whole run."""

    kind: ProblemKind
    message: str
    package: str | None = None
    test: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What each test is expected to do. ``flaky`` gives the cause for each test that may go either way."""

    suite_commit: str
    tests: Mapping[Key, Status] = field(default_factory=dict)
    flaky: Mapping[Key, str] = field(default_factory=dict)
    flaky_bound: int = 0


def check(expectations: Expectations, run: Run) -> list[Problem]:
    """Return everything about a run that the expectations forbid; empty means that it may pass.

    A partial run is held to what it ran: tests that it was not asked for are not missed.
    """
    if not run.complete:
        return [Problem(kind=ProblemKind.INCOMPLETE, message="the run has no footer, so it does not count")]
    if run.header.other is not None:
        message = (
            f"the run is of a pair, with {run.header.other}: the expectations are for one kind of server"
        )
        return [Problem(kind=ProblemKind.PAIR, message=message)]
    if run.header.suite_commit != expectations.suite_commit:
        message = f"run of suite {run.header.suite_commit}, expectations for {expectations.suite_commit}"
        return [Problem(kind=ProblemKind.OTHER_SUITE, message=message)]
    found = run.by_key()
    problems = [
        problem
        for key, expected in sorted(expectations.tests.items())
        if (problem := _judge(key, expected, found.get(key), expectations, run.header.partial))
        and not _fails_by_flaky_ones(key, found, expectations)
    ]
    problems += [_new(key) for key in sorted(found.keys() - expectations.tests.keys())]
    return problems + _flaky(expectations, run)


def _fails_by_flaky_ones(key: Key, found: Mapping[Key, TestResult], expectations: Expectations) -> bool:
    """Whether a test fails since subtests of it do, and all of these that have none are on the flaky list."""
    failed = [
        other
        for other, result in found.items()
        if other[0] == key[0] and other[1].startswith(f"{key[1]}/") and result.status is Status.FAIL
    ]
    parents = {other[1].rpartition("/")[0] for other in failed}
    last = [other for other in failed if other[1] not in parents]
    return bool(last) and found[key].status is Status.FAIL and expectations.flaky.keys() >= set(last)


def _judge(
    key: Key, expected: Status, result: TestResult | None, expectations: Expectations, partial: bool
) -> Problem | None:
    if result is None:
        return _problem(ProblemKind.VANISHED, key, "expected, but the run does not know the test")
    if result.status is expected or (partial and result.status is Status.NOT_RUN):
        return None
    if key in expectations.flaky and result.status in (Status.PASS, Status.FAIL):
        return None
    better = _RANK[result.status] > _RANK[expected]
    kind = ProblemKind.STALE if better else ProblemKind.REGRESSION
    return _problem(kind, key, f"expected {expected.value}, got {result.status.value}")


def _problem(kind: ProblemKind, key: Key, message: str) -> Problem:
    return Problem(kind=kind, message=message, package=key[0], test=key[1])


def _new(key: Key) -> Problem:
    return _problem(ProblemKind.NEW, key, "no expectation yet: update the expectations")


def _flaky(expectations: Expectations, run: Run) -> list[Problem]:
    turned = {result.key for result in run.results if result.flaky}
    problems = [
        _problem(ProblemKind.FLAKY, key, "passed only when run again, and is not on the flaky list")
        for key in sorted(turned - expectations.flaky.keys())
    ]
    listed = len(expectations.flaky)
    if listed > expectations.flaky_bound:
        message = f"the flaky list has {listed} tests, its bound is {expectations.flaky_bound}"
        problems.append(Problem(kind=ProblemKind.FLAKY, message=message))
    return problems


def update(
    expectations: Expectations | None, run: Run, *, allow_worse: bool = False, flaky_bound: int | None = None
) -> Expectations:
    """Return expectations that a run has earned; raise ValueError for a run without its footer or of a pair.

    Improvements and new tests are taken over. Regressions and vanished tests are only with
    ``allow_worse``: otherwise they stay, and ``check`` goes on failing. Flaky tests keep their line.
    Without earlier expectations, or with another suite's commit, what the run shows is the start.
    """
    if not run.complete:
        raise ValueError("the run has no footer, so it proves nothing")
    if run.header.other is not None:
        raise ValueError("the run is of a pair, and no expectations are kept of pairs")
    if expectations is None:
        expectations = Expectations(suite_commit=run.header.suite_commit)
    fresh = {r.key: r.status for r in run.results if not (run.header.partial and r.status is Status.NOT_RUN)}
    tests = _merged(expectations, fresh, allow_worse, keep_missing=run.header.partial)
    flaky = {key: cause for key, cause in expectations.flaky.items() if key in tests}
    return replace(
        expectations,
        suite_commit=run.header.suite_commit,
        tests=dict(sorted(tests.items())),
        flaky=flaky,
        flaky_bound=expectations.flaky_bound if flaky_bound is None else flaky_bound,
    )


def _merged(
    expectations: Expectations, fresh: Mapping[Key, Status], allow_worse: bool, *, keep_missing: bool
) -> dict[Key, Status]:
    drop_missing = allow_worse and not keep_missing
    tests = {key: status for key, status in expectations.tests.items() if key in fresh or not drop_missing}
    for key, status in fresh.items():
        old = tests.get(key)
        if key in expectations.flaky and old is not None:
            continue
        if old is None or allow_worse or _RANK[status] > _RANK[old]:
            tests[key] = status
    return tests


def write_expectations(path: Path, expectations: Expectations) -> None:
    """Write the file, sorted by (package, test)."""
    head = {"suite_commit": expectations.suite_commit, "flaky_bound": expectations.flaky_bound}
    lines = [dump(head), *(dump(record) for record in _records(expectations))]
    write_atomically(path, "\n".join(lines) + "\n")


def _records(expectations: Expectations) -> Iterable[dict[str, Any]]:
    for key, status in sorted(expectations.tests.items()):
        record: dict[str, Any] = {"package": key[0], "test": key[1], "expected": status.value}
        if key in expectations.flaky:
            record["flaky"] = expectations.flaky[key]
        yield record


def load_expectations(path: Path) -> Expectations:
    """Read the file; raise ``BadResults`` for a wrong line and for a flaky test that names no cause."""
    head: dict[str, Any] = {}
    tests: dict[Key, Status] = {}
    flaky: dict[Key, str] = {}

    def take(record: dict[str, Any]) -> None:
        if not head:
            head.update(suite_commit=record["suite_commit"], flaky_bound=int(record.get("flaky_bound", 0)))
            return
        key = (record["package"], record["test"])
        tests[key] = Status(record["expected"])
        if "flaky" in record:
            flaky[key] = _cause(record["flaky"])

    read_lines(path, take)
    if not head:
        raise BadResults(f"{path}: no suite_commit")
    return Expectations(tests=tests, flaky=flaky, **head)


def _cause(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("a flaky test needs its cause")
    return value
