"""The laboratory's commands that read results: ratchet, report, summary, compare, show and suite.

``add_subcommands`` mounts them on a parser. Each sets ``handler``, a function from the parsed arguments to
an exit code: 0 for success, 1 for a finding (a problem, an unknown test), 2 for data that cannot be read.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .catalogue import load_catalogue
from .compare import OtherResults, differences, read_other, tally_other
from .files import EXPECTATIONS_FILE, BadResults, load_results, log_path, read_run
from .model import Run, TestResult, summarise, summarise_packages
from .pairs import REFERENCE, Finding, Pairs, load_pairs
from .pin import compare_suites, compile_suite, write_suite
from .ratchet import Expectations, check, load_expectations, update, write_expectations
from .report import ReportInput, build_report, write_report
from .suite import Key, load_suite
from .violations import RECEIVED, Group, group_server_errors, group_violations, read_records

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

Handler = Callable[[argparse.Namespace], int]
OUTPUT = Path("conformance-out")
RESULTS = Path("results")


def add_subcommands(subparsers: Subparsers) -> None:
    """Mount the commands. Run ``arguments.handler(arguments)`` after parsing."""
    ratchet = _command(subparsers, "ratchet", _ratchet, "hold a run to the committed expectations")
    ratchet.add_argument("--update", action="store_true", help="take over improvements and new tests")
    ratchet.add_argument("--accept-worse", action="store_true", help="with --update: regressions as well")
    ratchet.add_argument("--flaky-bound", type=int, help="with --update: how long the flaky list may be")
    report = _command(subparsers, "report", _report, "write the dashboard, a static page")
    report.add_argument("--other", type=Path, action="append", default=[], help="another server's results")
    report.add_argument("--violations", type=Path, action="append", help="JSONL of schema violations")
    report.add_argument("--access", type=Path, action="append", help="JSONL access log")
    report.add_argument("--out", type=Path, default=OUTPUT / "report", help="the folder to write to")
    _command(subparsers, "summary", _summary, "print passed and total for each feature")
    compare = _command(subparsers, "compare", _compare, "print other servers' results beside the run's")
    compare.add_argument("others", type=Path, nargs="+", metavar="OTHER.jsonl")
    compare.add_argument("--tests", action="store_true", help="name the tests that only one side passes")
    pairs = _command(subparsers, "pairs", _pairs, "print what two kinds of servers do not pass together")
    pairs.add_argument(
        "--reference",
        default=REFERENCE,
        metavar="NAME",
        help=f"whose fault it is last (default: {REFERENCE})",
    )
    _command(subparsers, "violations", _violations, "print what broke a schema, and answers of 5xx")
    show = _command(subparsers, "show", _show, "print what is known about a test")
    show.add_argument("test", help="its name, or a part of it; package:name where two packages have it")
    suite = _command(subparsers, "suite", _suite, "make the suite's list anew for another commit")
    suite.add_argument("--complement", type=Path, required=True, help="the checkout that was run")
    suite.add_argument("--commit", help="its commit (default: the run's)")
    suite.add_argument("--self-skip", action="append", default=[], metavar="PACKAGE:TEST")
    suite.add_argument("--write", type=Path, metavar="FILE", help="write the list here")


def _command(subparsers: Subparsers, name: str, handler: Handler, summary: str) -> argparse.ArgumentParser:
    parser = subparsers.add_parser(name, help=summary, description=f"{name}: {summary}.")
    parser.add_argument("--run-file", type=Path, help=f"the run's own file (default: {OUTPUT}/run.jsonl)")
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="the committed results (default: results)"
    )
    parser.set_defaults(handler=_guarded(handler))
    return parser


def _guarded(handler: Handler) -> Handler:
    def guarded(arguments: argparse.Namespace) -> int:
        try:
            return handler(arguments)
        except (BadResults, OSError) as error:
            print(error, file=sys.stderr)
            return 2

    return guarded


def _run_file(arguments: argparse.Namespace) -> Path:
    return arguments.run_file or OUTPUT / "run.jsonl"


def _load(arguments: argparse.Namespace) -> Run:
    """Return the run asked for; without one, the last run if there is any, else the committed results."""
    path = _run_file(arguments)
    if arguments.run_file or path.exists():
        return read_run(path)
    return load_results(arguments.results)


def _expectations(arguments: argparse.Namespace) -> Expectations | None:
    path = arguments.results / EXPECTATIONS_FILE
    return load_expectations(path) if path.exists() else None


def _ratchet(arguments: argparse.Namespace) -> int:
    run, path = _load(arguments), arguments.results / EXPECTATIONS_FILE
    expectations = _expectations(arguments)
    if arguments.update and run.complete and run.header.other is None:
        expectations = update(
            expectations, run, allow_worse=arguments.accept_worse, flaky_bound=arguments.flaky_bound
        )
        write_expectations(path, expectations)
    if expectations is None:
        print(f"{path} does not exist; make it with --update", file=sys.stderr)
        return 2
    problems = check(expectations, run)
    for problem in problems:
        where = f" {problem.package}:{problem.test}:" if problem.test else ""
        print(f"{problem.kind.value}:{where} {problem.message}")
    print(f"{len(problems)} problems" if problems else "The ratchet holds.")
    return 1 if problems else 0


def _report(arguments: argparse.Namespace) -> int:
    run, output = _load(arguments), _run_file(arguments).parent
    violations = _existing(arguments.violations, output / "violations.jsonl")
    access = _existing(arguments.access, output / "access.jsonl")
    expectations = _expectations(arguments)
    source = ReportInput(
        run=run,
        others=[read_other(path) for path in arguments.other],
        violations=group_violations(read_records(violations)),
        server_errors=group_server_errors(read_records(access)),
        pairs=load_pairs(arguments.results),
        expected_flaky=dict(expectations.flaky) if expectations else {},
        kept_logs=frozenset(path.relative_to(output).as_posix() for path in (output / "logs").rglob("*.log")),
        logs=Path(os.path.relpath(output, arguments.out)).as_posix() + "/",
    )
    print(write_report(arguments.out, build_report(source)))
    return 0


def _existing(given: list[Path] | None, default: Path) -> list[Path]:
    if given is not None:
        return given
    return [default] if default.exists() else []


def _summary(arguments: argparse.Namespace) -> int:
    run = _load(arguments)
    catalogue = load_catalogue()
    for name, tally in summarise(run).items():
        flaky = f"  {tally.flaky} flaky" if tally.flaky else ""
        print(f"{tally.passed:>4} / {tally.total:<4} {name:<22} {catalogue.title(name)}{flaky}")
    print(_total(run))
    return 0 if run.complete else 1


def _total(run: Run) -> str:
    if run.footer is None:
        return "The run was cut short, so it does not count."
    foot = run.footer
    return (
        f"{foot.passed:>4} / {foot.denominator:<4} passed; {foot.failed} failed, {foot.skipped} skipped, "
        f"{foot.not_run} not run, {foot.flaky} flaky"
    )


def _compare(arguments: argparse.Namespace) -> int:
    run = _load(arguments)
    others = [read_other(path) for path in arguments.others]
    tallies = [tally_other(other, run) for other in others]
    heads = [run.header.server_name, *(other.name for other in others)]
    widths = [max(len(head), 5) for head in heads]
    print(_columns("", "total", heads, widths))
    for name, ours in summarise(run).items():
        theirs = [tally[name].passed for tally in tallies]
        print(_columns(name, str(ours.total), [str(n) for n in (ours.passed, *theirs)], widths))
    passed = sum(tally.passed for tally in summarise_packages(run).values())
    totals = [str(n) for n in (passed, *(tally[""].passed for tally in tallies))]
    print(_columns("all tests", str(tallies[0][""].total), totals, widths))
    for other in others:
        _print_other(run, other, names=arguments.tests)
    return 0


def _pairs(arguments: argparse.Namespace) -> int:
    pairs = load_pairs(arguments.results)
    for line in _grid(pairs):
        print(line)
    findings = pairs.findings(arguments.reference)
    for finding in findings:
        print(_finding(finding))
    worse = sum(finding.fault not in ("", arguments.reference) for finding in findings)
    print(f"{worse} rows are worse than {arguments.reference} with itself")
    return 1 if worse else 0


def _grid(pairs: Pairs) -> list[str]:
    """What each pair passes: a line for each hs1, a column for each hs2."""
    widths = [max(len(name), 9) for name in pairs.servers]
    lines = [["hs1 \\ hs2", *pairs.servers]]
    for first in pairs.servers:
        found = [pairs.found.get((first, second)) for second in pairs.servers]
        lines.append([first, *(f"{pair.passed} / {len(pair.statuses)}" if pair else "" for pair in found)])
    return [
        "  ".join([f"{head:<12}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))])
        for head, *cells in lines
    ]


def _finding(finding: Finding) -> str:
    alone = " and ".join(f"{name}+{name}" for name in finding.alone)
    words = f"passes with {alone}" if alone else "passes with neither alone"
    return (
        f"{finding.pair}: {finding.status.value} {finding.key[0]}:{finding.key[1]}: "
        f"{words}: {finding.fault or 'nobody'}'s fault"
    )


def _violations(arguments: argparse.Namespace) -> int:
    output = _run_file(arguments).parent
    broken = group_violations(read_records(_existing(None, output / "violations.jsonl")))
    failed = group_server_errors(read_records(_existing(None, output / "access.jsonl")))
    for group in broken:
        print(f"{group.of:<8} {_group(group)} at {group.pointer or '/'}: {group.message}")
    for group in failed:
        print(f"{'5xx':<8} {_group(group)}")
    return 1 if failed or any(group.of != RECEIVED for group in broken) else 0


def _group(group: Group) -> str:
    tests = ", ".join(group.tests[:3]) + (", …" if len(group.tests) > 3 else "")
    return f"{group.count:>4} times {group.operation} {group.status} ({tests})"


def _columns(name: str, total: str, values: list[str], widths: list[int]) -> str:
    cells = "  ".join(f"{value:>{width}}" for value, width in zip(values, widths, strict=True))
    return f"{name:<22} {total:>5}  {cells}"


def _print_other(run: Run, other: OtherResults, *, names: bool) -> None:
    behind, ahead = differences(run, other)
    print(f"{other.name}: alone passes {len(behind)}, alone does not pass {len(ahead)}", end="")
    print(f"; {other.unlisted} of its lines name no test of the suite, {other.ambiguous} name two")
    if names:
        for key in behind:
            print(f"  - {key[0]}:{key[1]}")
        for key in ahead:
            print(f"  + {key[0]}:{key[1]}")


def _find(run: Run, name: str) -> list[TestResult]:
    exact = [r for r in run.results if name in (r.test, f"{r.package}:{r.test}", _short_name(r))]
    return exact or [r for r in run.results if name.lower() in f"{r.package}:{r.test}".lower()]


def _short_name(result: TestResult) -> str:
    return f"{result.package.removeprefix('tests/')}:{result.test}"


def _show(arguments: argparse.Namespace) -> int:
    found = _find(_load(arguments), arguments.test)
    expectations = _expectations(arguments)
    if not found:
        print(f"no test is called {arguments.test!r}", file=sys.stderr)
        return 1
    if len(found) > 1:
        for result in found:
            print(f"{result.status.value:<8} {result.package}:{result.test}")
        return 0
    for name, value in _facts(found[0], expectations, _run_file(arguments).parent):
        print(f"{name:<12}{value}")
    return 0


def _facts(result: TestResult, expectations: Expectations | None, output: Path) -> list[tuple[str, str]]:
    known, key = load_suite().find(*result.key), result.key
    log = output / log_path(*key)
    facts = [
        ("test", f"{result.package}:{result.test}"),
        ("status", result.status.value + (" (flaky)" if result.flaky else "")),
        ("expected", _expected(expectations, key)),
        ("features", ", ".join(result.features) or "none"),
        ("source", f"{known.file}:{known.line}" if known else "not in the suite's list"),
        ("log", str(log) if log.exists() else "none kept"),
    ]
    if result.duration is not None:
        facts.append(("seconds", f"{result.duration:.2f}"))
    facts += [("operation", operation) for operation in result.operations]
    return facts + [("asked", line) for line in _asked(result, output / "asked.jsonl")]


def _asked(result: TestResult, path: Path) -> Iterator[str]:
    """What the servers asked of others while the test ran."""
    if result.started is None or result.ended is None or not path.exists():
        return
    for record in sorted(read_records([path]), key=lambda record: float(record["time"])):
        if record["package"] == result.package and result.started <= record["time"] <= result.ended:
            words = "{server} of {peer}: {method} {path} => {status}"
            yield words.format_map(record)


def _expected(expectations: Expectations | None, key: Key) -> str:
    if expectations is None or key not in expectations.tests:
        return "nothing yet"
    cause = expectations.flaky.get(key)
    return expectations.tests[key].value + (f" (flaky: {cause})" if cause else "")


def _suite(arguments: argparse.Namespace) -> int:
    run, old = _load(arguments), load_suite()
    if not run.complete:
        print("the run has no footer, so it proves nothing", file=sys.stderr)
        return 1
    commit = arguments.commit or run.header.suite_commit
    new = compile_suite(arguments.complement, commit, run, old, arguments.self_skip)
    change = compare_suites(old, new, run)
    for title, keys in (("+", change.added), ("-", change.removed), ("skipped", change.skipped)):
        for package, test in keys:
            print(f"{title} {package}:{test}")
    print(f"{len(new.row_keys())} rows, {len(new.self_skips())} of them skip themselves")
    if arguments.write:
        write_suite(arguments.write, new)
    return 0
