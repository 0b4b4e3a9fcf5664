"""Makes the suite's list anew for another commit: top-level tests from Go's source, subtests from a run.

Subtests are named while they run, so only a run knows them all. Which of them skip themselves whatever the
server does no program can tell from one run: that list is the maintainer's.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import write_atomically
from .model import Run, Status
from .suite import Key, Suite, SuiteTest

_FUNCTION = re.compile(r"^func (\w+)\(", re.MULTILINE)
_TEST = re.compile(r"Test(?!Main$)(?![a-z])\w*")
_CALL = re.compile(r"\b(\w+)\(")
_DEPLOY = re.compile(r"\bDeploy\(\s*t,\s*(\d+)\)")
_BLUEPRINT = re.compile(r"^var (Blueprint\w+) = (.*?)^\}", re.MULTILINE | re.DOTALL)
_HOMESERVER = re.compile(r'Name:\s+"hs\d+"')
_USED = re.compile(r"\bOldDeploy\(\s*t,\s*b\.(\w+)\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A top-level Go function: where it starts and its text up to the next one."""

    file: str
    line: int
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteChange:
    """How a new list differs. ``skipped`` are rows that skipped and are not known to do so always."""

    added: tuple[Key, ...]
    removed: tuple[Key, ...]
    skipped: tuple[Key, ...]


def read_functions(checkout: Path) -> dict[str, dict[str, Function]]:
    """Return the top-level functions of each test package of a checkout, by package and name."""
    packages: defaultdict[str, dict[str, Function]] = defaultdict(dict)
    for path in sorted((checkout / "tests").rglob("*_test.go")):
        text, file = path.read_text(encoding="utf-8"), path.relative_to(checkout).as_posix()
        found = list(_FUNCTION.finditer(text))
        ends = [match.start() for match in found[1:]] + [len(text)]
        for match, end in zip(found, ends, strict=True):
            packages[path.parent.relative_to(checkout).as_posix()][match[1]] = Function(
                file=file, line=text.count("\n", 0, match.start()) + 1, body=text[match.start() : end]
            )
    return dict(packages)


def read_tests(checkout: Path) -> dict[str, list[str]]:
    """Return the names of the top-level tests of each package of a checkout, in order."""
    functions = read_functions(checkout)
    return {package: sorted(filter(_TEST.fullmatch, functions[package])) for package in sorted(functions)}


def read_blueprints(checkout: Path) -> dict[str, int]:
    """Return how many homeservers each of the suite's ready-made deployments has."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((checkout / "b").glob("*.go"))]
    found = [match for text in texts for match in _BLUEPRINT.finditer(text)]
    return {match[1]: len(_HOMESERVER.findall(match[2])) for match in found}


def count_homeservers(name: str, functions: Mapping[str, Function], blueprints: Mapping[str, int]) -> int:
    """Return the most homeservers that a test deploys, itself or by the functions that it calls."""
    most, pending, seen = 1, [name], {name}
    while pending:
        body = functions[pending.pop()].body
        deployed = [int(number) for number in _DEPLOY.findall(body)]
        most = max([most, *deployed, *(blueprints.get(used, 1) for used in _USED.findall(body))])
        called = {call for call in _CALL.findall(body) if call in functions} - seen
        seen |= called
        pending.extend(called)
    return most


def compile_suite(checkout: Path, commit: str, run: Run, old: Suite, self_skips: Iterable[str] = ()) -> Suite:
    """Return the suite at ``commit``.

    A row skips itself when ``old`` says so or ``self_skips`` names it (``package:test``), and it did in the
    run. Raises ValueError for a run without its footer.
    """
    if not run.complete:
        raise ValueError("the run has no footer, so its subtests may not be all there are")
    named = old.self_skips() | {(name.split(":", 1)[0], name.split(":", 1)[-1]) for name in self_skips}
    skips = {result.key for result in run.results if result.status is Status.SKIP} & named
    rows: defaultdict[Key, list[str]] = defaultdict(list)
    for result in run.results:
        if "/" in result.test and result.status is not Status.NOT_RUN:
            rows[(result.package, result.top)].append(result.test)
    functions, blueprints = read_functions(checkout), read_blueprints(checkout)
    tests = [
        SuiteTest(
            package=package,
            test=name,
            file=functions[package][name].file,
            line=functions[package][name].line,
            homeservers=count_homeservers(name, functions[package], blueprints),
            subtests=tuple(sorted(_below(row) for row in rows[(package, name)])),
            self_skips=tuple(sorted(_below(row) for row in rows[(package, name)] if (package, row) in skips)),
        )
        for package, names in read_tests(checkout).items()
        for name in names
    ]
    return Suite(name=old.name, commit=commit, module=old.module, tests=tuple(tests))


def _below(row: str) -> str:
    return row.split("/", 1)[1]


def compare_suites(old: Suite, new: Suite, run: Run) -> SuiteChange:
    """Return how the new list differs from the old one."""
    before, after = set(old.row_keys()), set(new.row_keys())
    skipped = {result.key for result in run.results if result.status is Status.SKIP}
    return SuiteChange(
        added=tuple(sorted(after - before)),
        removed=tuple(sorted(before - after)),
        skipped=tuple(sorted(skipped - new.self_skips())),
    )


def write_suite(path: Path, suite: Suite) -> None:
    """Write the list as ``parse_suite`` reads it, a line for each top-level test."""
    head = json.dumps({"suite": suite.name, "module": suite.module, "commit": suite.commit})
    lines = ",\n".join(json.dumps(_record(test), ensure_ascii=False) for test in suite.tests)
    write_atomically(path, f'{head[:-1]}, "tests": [\n{lines}\n]}}\n')


def _record(test: SuiteTest) -> dict[str, Any]:
    record: dict[str, Any] = {
        "package": test.package,
        "test": test.test,
        "file": test.file,
        "line": test.line,
        "homeservers": test.homeservers,
    }
    if test.subtests:
        record["subtests"] = list(test.subtests)
    if test.self_skips:
        record["self_skips"] = list(test.self_skips)
    return record
