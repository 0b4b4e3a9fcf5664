"""The committed results are whole, of the pinned suite, and agree with the committed expectations."""

from __future__ import annotations

from pathlib import Path

import pytest
from palpo_conformance.files import EXPECTATIONS_FILE, load_results
from palpo_conformance.model import Run, count
from palpo_conformance.pairs import load_pairs, pair_rows
from palpo_conformance.ratchet import check, load_expectations
from palpo_conformance.suite import load_suite

RESULTS = Path(__file__).parents[2] / "results"


@pytest.fixture
def committed() -> Run:
    return load_results(RESULTS)


def test_they_are_of_the_pinned_suite_and_each_row_is_there_once(committed: Run) -> None:
    suite = load_suite()
    assert committed.header.suite_commit == suite.commit
    assert [result.key for result in committed.results] == sorted(suite.row_keys())


def test_the_footer_counts_what_is_there(committed: Run) -> None:
    assert committed.footer == count(committed.results, load_suite())


def test_pairs_are_of_the_pinned_suite_and_whole() -> None:
    suite = load_suite()
    pairs = load_pairs(RESULTS)
    assert ("synapse", "synapse") in pairs.found
    for pair in pairs.found.values():
        assert pair.header.suite_commit == suite.commit
        assert sorted(pair.statuses) == pair_rows(suite)


def test_the_ratchet_holds(committed: Run) -> None:
    assert check(load_expectations(RESULTS / EXPECTATIONS_FILE), committed) == []
