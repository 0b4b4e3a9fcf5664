"""The feature catalogue: what the spec calls a module or a noun, with its operations and its tests.

``data/catalogue.toml`` has a table for each feature: a title, the operations it consists of (by API), the
top-level tests at home in it, and the tests that exercise it as well. A row's features come in order: first
its home, whose file holds its result, then the others by name.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature.

    ``operations`` are ``api/operationId`` keys, ``tests`` are (package, top-level test) at home here, and
    ``also`` are patterns over ``package:test``, in which ``*`` stands for any text.
    """

    name: str
    title: str
    operations: tuple[str, ...] = ()
    tests: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All features, in order of name, with the lookups that reports need."""

    features: tuple[Feature, ...]
    homes: Mapping[tuple[str, str], str]
    also: tuple[tuple[re.Pattern[str], str], ...]

    def test_features(self, package: str, test: str) -> tuple[str, ...]:
        """Return a row's features, its home first; empty for a test that the catalogue lacks."""
        home = self.homes.get((package, test.split("/", 1)[0]))
        name = f"{package}:{test}"
        others = [feature for pattern, feature in self.also if pattern.fullmatch(name)]
        return tuple(dict.fromkeys([home, *others] if home else others))

    def title(self, name: str) -> str:
        """Return a feature's title, or its name when the catalogue lacks it."""
        return next((feature.title for feature in self.features if feature.name == name), name)


class BadCatalogue(ValueError):
    """The catalogue contradicts itself; the message names the entry."""


def parse_catalogue(document: Mapping[str, Any]) -> Catalogue:
    """Build a catalogue from the decoded ``catalogue.toml``.

    Raises ``BadCatalogue`` for a test of two homes.
    """
    features = tuple(_feature(name, table) for name, table in sorted(document.items()))
    homes: dict[tuple[str, str], str] = {}
    for feature in features:
        for test in feature.tests:
            if homes.setdefault(test, feature.name) != feature.name:
                raise BadCatalogue(f"{test} is at home in {homes[test]} and in {feature.name}")
    also = tuple((_compile(pattern), feature.name) for feature in features for pattern in feature.also)
    return Catalogue(features=features, homes=homes, also=also)


def _feature(name: str, table: Mapping[str, Any]) -> Feature:
    return Feature(
        name=name,
        title=table["title"],
        operations=tuple(f"{api}/{name}" for api, name in _pairs(table, "operations")),
        tests=tuple(_pairs(table, "tests")),
        also=tuple(f"{package}:{pattern}" for package, pattern in _pairs(table, "also")),
    )


def _pairs(table: Mapping[str, Any], field: str) -> list[tuple[str, str]]:
    return [(group, name) for group, names in table.get(field, {}).items() for name in names]


def _compile(pattern: str) -> re.Pattern[str]:
    body = ".*".join(re.escape(part) for part in pattern.split("*"))
    # A pattern for a test holds for its subtests as well.
    return re.compile(f"{body}(/.*)?", re.DOTALL)


@cache
def load_catalogue() -> Catalogue:
    """Return the catalogue of this release of the laboratory."""
    text = files(__package__).joinpath("data/catalogue.toml").read_text(encoding="utf-8")
    return parse_catalogue(tomllib.loads(text))
