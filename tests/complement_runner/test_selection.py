"""Choosing packages and tests, and the suite's list of them."""

from __future__ import annotations

import re

import pytest
from palpo_complement.selection import (
    UnknownPackage,
    exactly,
    expected_rows,
    resolve_packages,
    wanted_packages,
)
from palpo_conformance.suite import load_suite

SUITE = load_suite()


def test_the_suites_list_is_the_denominator() -> None:
    assert len(SUITE.packages()) == 14
    assert len(SUITE.tests) == 210
    assert expected_rows(SUITE, SUITE.packages(), None) == 844


def test_packages_by_short_and_full_name() -> None:
    assert resolve_packages(["csapi", "tests", "tests/csapi"], SUITE.packages()) == ("tests/csapi", "tests")
    with pytest.raises(UnknownPackage, match="msc1"):
        resolve_packages(["msc1"], SUITE.packages())


def test_long_packages_start_first() -> None:
    assert wanted_packages(SUITE, (), None)[:3] == ("tests/csapi", "tests", "tests/msc3902")
    assert set(wanted_packages(SUITE, (), None)) == set(SUITE.packages())


def test_a_pattern_leaves_out_packages_without_a_match() -> None:
    assert wanted_packages(SUITE, (), "^TestLogin$/parallel") == ("tests/csapi",)
    assert wanted_packages(SUITE, ("tests",), "^TestLogin$") == ()


def test_a_rerun_names_whole_tests() -> None:
    pattern = exactly(["TestB", "TestA", "TestB"])
    assert pattern == "^(TestA|TestB)$"
    assert re.search(pattern, "TestAB") is None
