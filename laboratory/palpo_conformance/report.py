"""The dashboard: one static page with its data beside it, nothing loaded from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence, Set
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from .catalogue import Catalogue, load_catalogue
from .compare import OtherResults, tally_other
from .files import log_path, write_atomically
from .model import Run, RunHeader, Status, Tally, TestResult, count, summarise, summarise_packages
from .pairs import Pair, Pairs
from .suite import Suite, load_suite
from .violations import RECEIVED, Group

PAGE_FILE = "index.html"
DATA_FILE = "data.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInput:
    """Everything a report is made of.

    ``kept_logs`` are the logs that exist, as ``log_path`` names them, and ``logs`` is the prefix that makes
    links from the page of them: a run keeps the logs of what failed.
    """

    run: Run
    others: Sequence[OtherResults] = ()
    violations: Sequence[Group] = ()
    server_errors: Sequence[Group] = ()
    expected_flaky: dict[tuple[str, str], str] = field(default_factory=dict)
    pairs: Pairs = field(default_factory=Pairs)
    kept_logs: frozenset[str] = frozenset()
    logs: str = ""


def build_report(
    source: ReportInput, *, suite: Suite | None = None, catalogue: Catalogue | None = None
) -> dict[str, Any]:
    """Return the report as plain JSON data: what ``data.json`` holds and the page shows."""
    suite = suite or load_suite()
    catalogue = catalogue or load_catalogue()
    run = source.run
    others = [(other, tally_other(other, run, suite=suite)) for other in source.others]
    called = {operation for result in run.results for operation in result.operations}
    operations = {feature.name: feature.operations for feature in catalogue.features}
    return {
        "header": _plain(run.header),
        "operations": _called(called, {name for names in operations.values() for name in names}),
        "complete": run.complete,
        "footer": asdict(run.footer or count(run.results, suite)),
        "others": [_other(other, tallies[""]) for other, tallies in others],
        "features": [
            {
                "name": name,
                "title": catalogue.title(name),
                **_tally(tally),
                "operations": _called(called, operations.get(name, ())),
                "others": [_tally(tallies.get(name, Tally())) for _, tallies in others],
            }
            for name, tally in summarise(run, suite=suite).items()
        ],
        "uncovered": _uncovered(run, catalogue),
        "packages": [
            {"name": name, **_tally(tally)} for name, tally in summarise_packages(run, suite=suite).items()
        ],
        "tests": [_test(result, source, suite) for result in run.results],
        "pairs": _pairs(source.pairs),
        "violations": [_plain(group) for group in source.violations if group.of != RECEIVED],
        "received": [_plain(group) for group in source.violations if group.of == RECEIVED],
        "server_errors": [_plain(group) for group in source.server_errors],
    }


def _pairs(pairs: Pairs) -> dict[str, Any]:
    """The grid, a row for each hs1 and in it a cell for each hs2, and what fails in a pair."""
    return {
        "mixed": pairs.mixed,
        "servers": list(pairs.servers),
        "grid": [
            [_cell(pairs.found.get((first, second))) for second in pairs.servers] for first in pairs.servers
        ],
        "findings": [
            {
                "pair": finding.pair,
                "package": finding.key[0],
                "test": finding.key[1],
                "status": finding.status.value,
                "fault": finding.fault,
                "alone": list(finding.alone),
            }
            for finding in pairs.findings()
        ],
    }


def _cell(pair: Pair | None) -> dict[str, Any] | None:
    return {"passed": pair.passed, "total": len(pair.statuses)} if pair else None


def _plain(record: RunHeader | Group) -> dict[str, Any]:
    """Return a record as JSON has it, with lists for tuples."""
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(record).items()
    }


def _tally(tally: Tally) -> dict[str, Any]:
    names = ("passed", "failed", "skipped", "not_run", "flaky", "total")
    return {name: getattr(tally, name) for name in names}


def _called(called: Set[str], operations: Collection[str]) -> dict[str, int]:
    """Return how many of some operations the tests called, and how many there are."""
    return {"called": len(called & set(operations)), "total": len(operations)}


def _other(other: OtherResults, tally: Tally) -> dict[str, Any]:
    return {
        "name": other.name,
        **_tally(tally),
        "unlisted": other.unlisted,
        "ambiguous": other.ambiguous,
    }


def _uncovered(run: Run, catalogue: Catalogue) -> list[dict[str, str]]:
    """Return the features which have operations but no test in the suite."""
    covered = {feature for result in run.results for feature in result.features}
    return [
        {"name": feature.name, "title": feature.title}
        for feature in catalogue.features
        if feature.name not in covered
    ]


def _test(result: TestResult, source: ReportInput, suite: Suite) -> dict[str, Any]:
    known = suite.find(*result.key)
    log = log_path(*result.key)
    return {
        "package": result.package,
        "test": result.test,
        "status": result.status.value,
        "self_skip": result.key in suite.self_skips(),
        "flaky": result.flaky or result.key in source.expected_flaky,
        "flaky_cause": source.expected_flaky.get(result.key),
        "features": list(result.features),
        "operations": list(result.operations),
        "source": f"{known.file}:{known.line}" if known else None,
        "log": source.logs + log if log in source.kept_logs else None,
        "others": [other.status(result.key).value for other in source.others],
    }


def render_page(report: dict[str, Any]) -> str:
    """Return the page for a report, complete in itself."""
    environment = Environment(
        loader=PackageLoader("palpo_conformance", "dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    failing = [test for test in report["tests"] if test["status"] == Status.FAIL.value]
    return environment.get_template("index.html.jinja").render(
        report=report,
        failing=failing,
        flaky=[test for test in report["tests"] if test["flaky"]],
        rows=[_row(test) for test in report["tests"]],
        share=_share,
        counted=_count,
    )


def _row(test: dict[str, Any]) -> list[Any]:
    # What the table of all tests needs, short, because it stands in the page 844 times.
    return [test["package"], test["test"], test["status"], test["features"], test["log"], test["others"]]


def _share(part: int, whole: int) -> str:
    """Return a percentage for a width, "0" for nothing out of nothing."""
    return f"{100 * part / whole:.2f}".rstrip("0").rstrip(".") if whole else "0"


def _count(groups: list[dict[str, Any]]) -> int:
    return sum(group["count"] for group in groups)


def write_report(directory: Path, report: dict[str, Any]) -> Path:
    """Write the page and its data into a folder; return the page's path."""
    write_atomically(directory / DATA_FILE, json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    page = directory / PAGE_FILE
    write_atomically(page, render_page(report))
    return page
