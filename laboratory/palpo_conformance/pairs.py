"""Two servers of different kinds in one test: what fails then, and by whose fault.

A pair is what was hs1 and what was hs2, as ``palpo+synapse``. Its rows are those of the tests that deploy two
homeservers or more; what a third is, is hs1's kind. ``results/pairs/`` has a file for each: a header, and a
line for each row. A server with itself is what it passes alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .files import (
    RUN_FILE,
    BadResults,
    IncompleteRun,
    PartialRun,
    dump,
    header_of,
    load_results,
    read_lines,
    write_atomically,
)
from .model import Run, RunHeader, Status
from .suite import Key, Suite, SuiteTest, load_suite

FOLDER = "pairs"
REFERENCE = "synapse"
"""The server that what works only without the other is held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What came of a pair. ``updates`` are the partial runs that changed it since."""

    header: RunHeader
    statuses: Mapping[Key, Status]
    updates: tuple[RunHeader, ...] = ()

    @property
    def servers(self) -> tuple[str, str]:
        """What was hs1, and what was hs2."""
        return self.header.server_name, self.header.other or self.header.server_name

    @property
    def name(self) -> str:
        return "+".join(self.servers)

    @property
    def passed(self) -> int:
        return sum(status is Status.PASS for status in self.statuses.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A row that two servers do not pass together.

    ``fault`` is the server whose it is, or empty where neither passes it alone; ``alone`` are those of the
    two that pass it with themselves.
    """

    pair: str
    key: Key
    status: Status
    fault: str
    alone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs that there are results of."""

    found: Mapping[tuple[str, str], Pair] = field(default_factory=dict)

    @property
    def servers(self) -> tuple[str, ...]:
        """Whoever is in a pair, in order of name."""
        return tuple(sorted({name for names in self.found for name in names}))

    @property
    def mixed(self) -> bool:
        """Whether there is a pair of two different servers."""
        return any(first != second for first, second in self.found)

    def findings(self, reference: str = REFERENCE) -> list[Finding]:
        """What fails in mixed pairs of which both are known alone; first what both pass alone."""
        found = [
            finding
            for (first, second), pair in sorted(self.found.items())
            if first != second and (first, first) in self.found and (second, second) in self.found
            for finding in self._of(pair, reference)
        ]
        return sorted(found, key=lambda finding: (finding.pair, -len(finding.alone)))

    def _of(self, pair: Pair, reference: str) -> Iterable[Finding]:
        for key, status in sorted(pair.statuses.items()):
            if status is not Status.PASS:
                alone = tuple(n for n in pair.servers if self.found[n, n].statuses.get(key) is Status.PASS)
                fault = _fault(pair.servers, alone, reference)
                yield Finding(pair=pair.name, key=key, status=status, fault=fault, alone=alone)


def _fault(servers: tuple[str, str], alone: tuple[str, ...], reference: str) -> str:
    """Whose fault it is: theirs who do not pass alone; where both do, not the reference's."""
    if not alone:
        return ""
    suspects = [name for name in servers if name not in alone] or list(servers)
    return next((name for name in suspects if name != reference), suspects[0])


def pair_tests(suite: Suite | None = None) -> list[SuiteTest]:
    """The tests that deploy two homeservers or more."""
    return [test for test in (suite or load_suite()).tests if test.homeservers > 1]


def pair_rows(suite: Suite | None = None) -> list[Key]:
    """The rows of a pair: those of these tests, without those that skip themselves."""
    suite = suite or load_suite()
    rows = [(test.package, row) for test in pair_tests(suite) for row in test.rows()]
    return sorted(set(rows) - suite.self_skips())


def pair_of(run: Run, suite: Suite | None = None) -> Pair:
    """The pair's part of a run."""
    known = run.by_key()
    statuses = {key: known[key].status if key in known else Status.NOT_RUN for key in pair_rows(suite)}
    return Pair(header=run.header, statuses=statuses)


def write_pair(directory: Path, run: Run, *, suite: Suite | None = None) -> Pair:
    """Keep what a run says of its pair below a results folder; gives what is kept now.

    Of a partial run only what it ran replaces what is there. Raises IncompleteRun, and PartialRun where a
    partial one is the first.
    """
    if not run.complete:
        raise IncompleteRun("the run has no footer: it was cut short and does not count")
    pair = pair_of(run, suite)
    path = directory / FOLDER / f"{pair.name}.jsonl"
    if run.header.partial:
        if not path.exists():
            raise PartialRun(f"{path} is not there: a run of a part of the suite can only change it")
        pair = _merged(read_pair(path), pair)
    write_atomically(path, "".join(dump(record) + "\n" for record in _records(pair)))
    return pair


def _merged(base: Pair, update: Pair) -> Pair:
    if base.header.suite_commit != update.header.suite_commit:
        raise PartialRun("what is kept of the pair is of another commit of the suite; run all of it")
    ran = {key: status for key, status in update.statuses.items() if status is not Status.NOT_RUN}
    updates = tuple(dict.fromkeys((*base.updates, update.header)))
    return replace(base, statuses={**base.statuses, **ran}, updates=updates)


def _records(pair: Pair) -> Iterable[dict[str, Any]]:
    head = asdict(pair.header)
    yield head if not pair.updates else {**head, "updates": [asdict(update) for update in pair.updates]}
    for (package, test), status in sorted(pair.statuses.items()):
        yield {"package": package, "test": test, "status": status.value}


def read_pair(path: Path) -> Pair:
    """Read a pair's file; raise BadResults when it is none."""
    head: list[Mapping[str, Any]] = []
    statuses: dict[Key, Status] = {}

    def take(record: Mapping[str, Any]) -> None:
        if not head:
            head.append({**record, "header": header_of(record)})
        else:
            statuses[record["package"], record["test"]] = Status(record["status"])

    read_lines(path, take)
    if not head:
        raise BadResults(f"{path}: no header")
    updates = tuple(header_of(update) for update in head[0].get("updates", ()))
    return Pair(header=head[0]["header"], statuses=statuses, updates=updates)


def load_pairs(directory: Path, *, suite: Suite | None = None) -> Pairs:
    """All pairs of a results folder; its own results are those of their server with itself."""
    pairs = [read_pair(path) for path in sorted((directory / FOLDER).glob("*.jsonl"))]
    if (directory / RUN_FILE).exists():
        pairs.insert(0, pair_of(load_results(directory), suite))
    return Pairs({pair.servers: pair for pair in pairs})
