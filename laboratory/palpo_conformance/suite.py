"""The suite's own list of tests: which rows there are, so that what was not run stays visible.

``data/suite.json`` holds the facts of one pinned Complement commit: each top-level test with its package,
its file and line, how many homeservers it deploys at most, its subtests (as Go prints them) and those of
them that skip themselves whatever the server does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteTest:
    """One top-level test. ``file`` is relative to the checkout; ``subtests`` lack the top-level name."""

    package: str
    test: str
    file: str
    line: int
    homeservers: int
    subtests: tuple[str, ...] = ()
    self_skips: tuple[str, ...] = ()

    def rows(self) -> list[str]:
        """Return the full names of the test itself and of each of its subtests."""
        return [self.test, *(f"{self.test}/{name}" for name in self.subtests)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A pinned suite: its commit, its Go module and its tests, sorted by package and name."""

    name: str
    commit: str
    module: str
    tests: tuple[SuiteTest, ...]

    def row_keys(self) -> list[Key]:
        """Return (package, full test name) of every row."""
        return [(test.package, row) for test in self.tests for row in test.rows()]

    def self_skips(self) -> frozenset[Key]:
        """Return the rows that skip themselves unconditionally; they are no part of the denominator."""
        return frozenset((t.package, f"{t.test}/{name}") for t in self.tests for name in t.self_skips)

    def packages(self) -> tuple[str, ...]:
        """Return the packages in order of name."""
        return tuple(sorted({test.package for test in self.tests}))

    def find(self, package: str, test: str) -> SuiteTest | None:
        """Return the top-level test that a row belongs to, or None when the suite does not list it."""
        top = test.split("/", 1)[0]
        return next((t for t in self.tests if t.package == package and t.test == top), None)

    def short_package(self, import_path: str) -> str:
        """Turn a Go import path into the name used here: ``<module>/tests/csapi`` is ``tests/csapi``."""
        return import_path.removeprefix(f"{self.module}/")


def parse_suite(document: dict[str, Any]) -> Suite:
    """Build a suite from the decoded ``suite.json``."""
    tests = tuple(
        SuiteTest(
            package=entry["package"],
            test=entry["test"],
            file=entry["file"],
            line=entry["line"],
            homeservers=entry["homeservers"],
            subtests=tuple(entry.get("subtests", ())),
            self_skips=tuple(entry.get("self_skips", ())),
        )
        for entry in document["tests"]
    )
    return Suite(name=document["suite"], commit=document["commit"], module=document["module"], tests=tests)


@cache
def load_suite() -> Suite:
    """Return the suite at the commit that this release of the laboratory is pinned to."""
    text = files(__package__).joinpath("data/suite.json").read_text(encoding="utf-8")
    return parse_suite(json.loads(text))
