"""What a run of the suite is: a header, one result a test, and a footer without which it does not count.

Skipped and never run are states of their own and never count as passed. The denominator is the suite's
list of tests less those that skip themselves, so leaving out a package shows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, nextafter
from typing import ClassVar

from .catalogue import Catalogue, load_catalogue
from .suite import Key, Suite, load_suite


class Status(StrEnum):
    """How one test ended. ``NOT_RUN`` is a test of the suite's list that never started."""

    PASS = "pass"
    FAIL = "fail"
    SKIP = "skip"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """One row of a run.

    ``operations`` are sorted keys of the form ``client-server/login`` (API and operation ID, because some
    IDs occur in several APIs). ``duration`` is in seconds, ``started`` and ``ended`` are Unix times; the
    three are kept in the run's own file only. ``flaky`` says that a rerun turned a failure into a pass.
    """

    __test__: ClassVar[bool] = False  # not for pytest to collect

    package: str
    test: str
    status: Status
    features: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    flaky: bool = False
    duration: float | None = None
    started: float | None = None
    ended: float | None = None

    @property
    def key(self) -> Key:
        """(package, test): the same test name occurs in two packages."""
        return (self.package, self.test)

    @property
    def top(self) -> str:
        """The name of the top-level test that this row belongs to."""
        return self.test.split("/", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What was run against what.

    ``packages`` empty means all of the suite's, ``filter`` is the argument of Go's ``-run``. A run with
    either is partial. ``other`` and ``other_commit`` are what was hs2, in the run of a pair: that is of the
    tests of two homeservers only.
    """

    suite_commit: str
    server_name: str
    server_commit: str
    engine: str
    database: str
    packages: tuple[str, ...] = ()
    filter: str | None = None
    other: str | None = None
    other_commit: str | None = None

    @property
    def partial(self) -> bool:
        """Whether only a part of the suite was asked for."""
        return bool(self.packages) or self.filter is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFooter:
    """The counts of a run that came to its end.

    ``rows`` is the length of the suite's list, ``self_skips`` how many of them skip themselves, and
    ``denominator`` the difference; ``passed``, ``failed``, ``skipped`` and ``not_run`` add up to it.
    ``flaky`` is how many of the passed needed a rerun, ``unlisted`` how many ran that the list lacks.
    """

    rows: int
    self_skips: int
    denominator: int
    passed: int
    failed: int
    skipped: int
    not_run: int
    flaky: int = 0
    unlisted: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run. ``footer`` is None when it was cut short."""

    header: RunHeader
    results: tuple[TestResult, ...]
    footer: RunFooter | None = None

    @property
    def complete(self) -> bool:
        """Whether the run counts."""
        return self.footer is not None

    def by_key(self) -> dict[Key, TestResult]:
        """Return the results by (package, test)."""
        return {result.key: result for result in self.results}


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of results; ``total`` leaves out the tests that skip themselves."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    not_run: int = 0
    flaky: int = 0

    @property
    def total(self) -> int:
        """What ``passed`` is to be held against."""
        return self.passed + self.failed + self.skipped + self.not_run

    def add(self, result: TestResult) -> None:
        """Count one result."""
        match result.status:
            case Status.PASS:
                self.passed += 1
            case Status.FAIL:
                self.failed += 1
            case Status.SKIP:
                self.skipped += 1
            case Status.NOT_RUN:
                self.not_run += 1
        self.flaky += result.flaky


def build_run(
    header: RunHeader,
    results: Iterable[TestResult],
    *,
    finished: bool = True,
    suite: Suite | None = None,
    catalogue: Catalogue | None = None,
) -> Run:
    """Make a run of what a suite reported: tests that never started are added, features are filled in.

    ``finished`` false (the runner was interrupted) leaves the footer out, and the run does not count.
    """
    suite = suite or load_suite()
    catalogue = catalogue or load_catalogue()
    seen = {result.key: result for result in results}
    for package, test in suite.row_keys():
        seen.setdefault((package, test), TestResult(package=package, test=test, status=Status.NOT_RUN))
    complete = tuple(
        replace(
            seen[key], features=catalogue.test_features(*key), operations=tuple(sorted(seen[key].operations))
        )
        for key in sorted(seen)
    )
    return Run(header=header, results=complete, footer=count(complete, suite) if finished else None)


def count(results: Iterable[TestResult], suite: Suite) -> RunFooter:
    """Return the footer for a run's results."""
    listed, exempt = set(suite.row_keys()), suite.self_skips()
    tally, unlisted = Tally(), 0
    for result in results:
        if result.key not in listed:
            unlisted += 1
        elif result.key not in exempt:
            tally.add(result)
    return RunFooter(
        rows=len(listed),
        self_skips=len(exempt),
        denominator=len(listed) - len(exempt),
        passed=tally.passed,
        failed=tally.failed,
        skipped=tally.skipped,
        not_run=tally.not_run,
        flaky=tally.flaky,
        unlisted=unlisted,
    )


def tally_by(
    results: Iterable[TestResult],
    groups: Callable[[TestResult], Iterable[str]],
    suite: Suite | None = None,
) -> dict[str, Tally]:
    """Return a tally for each group, in order of name, without the tests that skip themselves."""
    exempt = (suite or load_suite()).self_skips()
    tallies: defaultdict[str, Tally] = defaultdict(Tally)
    for result in results:
        for group in () if result.key in exempt else groups(result):
            tallies[group].add(result)
    return dict(sorted(tallies.items()))


def summarise(run: Run, *, suite: Suite | None = None) -> dict[str, Tally]:
    """Return a tally for each feature. A test counts under every feature it has."""
    return tally_by(run.results, lambda result: result.features, suite)


def summarise_packages(run: Run, *, suite: Suite | None = None) -> dict[str, Tally]:
    """Return a tally for each package."""
    return tally_by(run.results, lambda result: (result.package,), suite)


def merge_rerun(first: Run, rerun: Run) -> Run:
    """Return ``first`` with the verdict of a rerun of its failures.

    What failed and then passed is a flaky pass; what failed twice is a failure. A rerun never turns a pass
    into anything else, and one without its footer decides nothing.
    """
    if not rerun.complete:
        return first
    second = rerun.by_key()
    merged = tuple(_verdict(result, second.get(result.key)) for result in first.results)
    if first.footer is None:
        return replace(first, results=merged)
    return replace(first, results=merged, footer=_recount(first.footer, merged, first.results))


def _verdict(result: TestResult, again: TestResult | None) -> TestResult:
    if result.status is Status.FAIL and again is not None and again.status is Status.PASS:
        return replace(again, features=result.features, flaky=True)
    return result


def _recount(footer: RunFooter, merged: Iterable[TestResult], before: Iterable[TestResult]) -> RunFooter:
    turned = sum(new.status is not old.status for new, old in zip(merged, before, strict=True))
    return replace(
        footer, passed=footer.passed + turned, failed=footer.failed - turned, flaky=footer.flaky + turned
    )


def attribute_operations(
    results: Iterable[TestResult], calls: Mapping[str, Iterable[tuple[float, str]]]
) -> list[TestResult]:
    """Return the results with the operations that were called while each of them ran.

    ``calls`` gives for each package (time, operation key) of every request its homeservers answered.
    Complement runs a package's top-level tests one after the other, so a call belongs to the rows whose
    span holds its time; subtests that run in parallel share theirs.
    """
    ordered = {package: sorted(entries) for package, entries in calls.items()}
    return [replace(r, operations=_called(r, ordered.get(r.package, []))) for r in results]


def _called(result: TestResult, calls: list[tuple[float, str]]) -> tuple[str, ...]:
    if result.started is None or result.ended is None:
        return result.operations
    first = bisect_left(calls, (result.started, ""))
    last = bisect_left(calls, (nextafter(result.ended, inf), ""))
    return tuple(sorted({name for _, name in calls[first:last]}.union(result.operations)))


def status_counts(results: Iterable[TestResult]) -> dict[str, int]:
    """Return how many results there are of each status, every status named."""
    counted = Counter(result.status for result in results)
    return {status.value: counted[status] for status in Status}
