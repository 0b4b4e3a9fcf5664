"""Which of the suite's packages and tests a run asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable

from palpo_conformance.suite import Suite, SuiteTest

from .errors import SetupFailed

# The longest first, so that with several jobs no long package starts last.
LONGEST = ("tests/csapi", "tests", "tests/msc3902", "tests/msc4140")


class UnknownPackage(SetupFailed):
    """A package that the suite does not have."""


def resolve_packages(names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """Full names for `csapi` or `tests/csapi`. Raises UnknownPackage."""
    available = tuple(known)
    chosen: list[str] = []
    for name in names:
        full = next((full for full in (name, f"tests/{name}") if full in available), None)
        if full is None:
            raise UnknownPackage(f"no package {name}; there are: {', '.join(available)}")
        chosen.append(full)
    return tuple(dict.fromkeys(chosen))


def wanted_packages(suite: Suite, packages: tuple[str, ...], pattern: str | None) -> tuple[str, ...]:
    """The packages to run, longest first; with a pattern only those with a test that it can match."""
    chosen = packages or suite.packages()
    if pattern is not None:
        chosen = tuple(name for name in chosen if any(t.package == name for t in _matching(suite, pattern)))
    order = {name: place for place, name in enumerate(LONGEST)}
    return tuple(sorted(chosen, key=lambda name: (order.get(name, len(order)), name)))


def expected_rows(suite: Suite, packages: Iterable[str], pattern: str | None) -> int:
    """How many rows a run of these packages should report, for the progress line."""
    chosen = set(packages)
    return sum(len(test.rows()) for test in _matching(suite, pattern or ".") if test.package in chosen)


def _matching(suite: Suite, pattern: str) -> list[SuiteTest]:
    # Go splits its -run argument by slashes; the first part is for top-level names.
    expression = re.compile(pattern.split("/", 1)[0])
    return [test for test in suite.tests if expression.search(test.test)]


def exactly(tests: Iterable[str]) -> str:
    """An argument for `-run` that names these top-level tests and no other."""
    return f"^({'|'.join(sorted(set(tests)))})$"
