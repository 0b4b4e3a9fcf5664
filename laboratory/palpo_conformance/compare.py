"""Other servers' result files, to lay over a run's own.

Such a file is JSONL in the manner of ``go test -json``: ``{"Action", "Package"?, "Test"}`` with the actions
pass, fail and skip. Many projects publish theirs without the package; a name that several packages have is
then not guessed at but counted as ambiguous.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .files import read_run
from .go_events import ENDS
from .model import Run, Status, Tally, tally_by
from .suite import Key, Suite, load_suite
from .violations import read_records


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherResults:
    """What another server did. ``unlisted`` and ``ambiguous`` count the lines that match no one test."""

    name: str
    statuses: Mapping[Key, Status]
    unlisted: int = 0
    ambiguous: int = 0

    def status(self, key: Key) -> Status:
        """Return a test's status; what the file does not have was not run."""
        return self.statuses.get(key, Status.NOT_RUN)


def read_other(path: Path, *, suite: Suite | None = None) -> OtherResults:
    """Read a result file of another server, or a run file of this laboratory."""
    suite = suite or load_suite()
    name = path.name.removesuffix(".jsonl").removesuffix(".result")
    records = list(read_records([path]))
    if any(record.get("type") == "header" for record in records[:1]):
        run = read_run(path)
        return OtherResults(name=name, statuses={r.key: r.status for r in run.results})
    return _match(name, records, suite)


def _match(name: str, records: Iterable[Mapping[str, Any]], suite: Suite) -> OtherResults:
    packages: defaultdict[str, list[str]] = defaultdict(list)
    for package, row in suite.row_keys():
        packages[row].append(package)
    statuses: dict[Key, Status] = {}
    unlisted = ambiguous = 0
    for record in records:
        test, status = str(record.get("Test") or ""), ENDS.get(str(record.get("Action")))
        if not test or status is None:
            continue
        homes = packages.get(test, [])
        if record.get("Package"):
            homes = [home for home in homes if home == suite.short_package(str(record["Package"]))]
        if len(homes) == 1:
            statuses[(homes[0], test)] = status
        elif homes:
            ambiguous += 1
        else:
            unlisted += 1
    return OtherResults(name=name, statuses=statuses, unlisted=unlisted, ambiguous=ambiguous)


def tally_other(other: OtherResults, run: Run, *, suite: Suite | None = None) -> dict[str, Tally]:
    """Return a tally for each feature of the run, of what the other server did; "" holds the whole."""
    theirs = (replace(result, status=other.status(result.key), flaky=False) for result in run.results)
    return {"": Tally(), **tally_by(theirs, lambda result: ("", *result.features), suite)}


def differences(run: Run, other: OtherResults, *, suite: Suite | None = None) -> tuple[list[Key], list[Key]]:
    """Return the tests that only the other server passes, and those that only this run passes."""
    exempt = (suite or load_suite()).self_skips()
    behind, ahead = [], []
    for result in run.results:
        if result.key in exempt:
            continue
        ours, theirs = result.status is Status.PASS, other.status(result.key) is Status.PASS
        if theirs and not ours:
            behind.append(result.key)
        elif ours and not theirs:
            ahead.append(result.key)
    return behind, ahead
