"""Pairs of servers: what is kept of them, and whose fault it is where they fail together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from palpo_conformance.files import BadResults, IncompleteRun, PartialRun, write_results
from palpo_conformance.model import Run, Status
from palpo_conformance.pairs import Finding, Pairs, load_pairs, pair_of, pair_rows, read_pair, write_pair
from palpo_conformance.ratchet import Expectations, ProblemKind, check, update
from palpo_conformance.report import ReportInput, build_report, render_page

from tests.conformance.conformance_builders import (
    ALL_PASS,
    SUITE_COMMIT,
    header,
    run_of,
    small_catalogue,
    small_suite,
)

SYNC = ("tests/csapi", "TestSync")
SUBTEST = ("tests/csapi", "TestSync/naïve_☃")
SUITE = small_suite()


def run_with(first: str, second: str, *failing: str, only: str | None = None, finished: bool = True) -> Run:
    """A run of a pair, in which the tests of ``failing`` fail."""
    head = replace(header(only=only), server_name=first, other=second, other_commit="2")
    statuses = {**ALL_PASS, **{f"tests/csapi:{test}": "fail" for test in failing}}
    if only:
        statuses = {name: status for name, status in statuses.items() if name.endswith(only)}
    return run_of(statuses, head=head, finished=finished)


def pairs_of(*runs: Run) -> Pairs:
    return Pairs({pair.servers: pair for pair in (pair_of(run, SUITE) for run in runs)})


def test_the_rows_are_those_of_two_servers_that_do_not_skip_themselves() -> None:
    assert pair_rows(SUITE) == [SYNC, SUBTEST]
    assert len(pair_rows()) > 200


def test_a_pair_is_kept_and_read_again(tmp_path: Path) -> None:
    kept = write_pair(tmp_path, run_with("ours", "theirs", "TestSync"), suite=SUITE)
    path = tmp_path / "pairs/ours+theirs.jsonl"
    assert read_pair(path) == kept
    assert kept.statuses == {SYNC: Status.FAIL, SUBTEST: Status.PASS}
    assert (kept.passed, kept.header.other_commit) == (1, "2")
    before = path.read_bytes()
    write_pair(tmp_path, run_with("ours", "theirs", "TestSync"), suite=SUITE)
    assert path.read_bytes() == before


def test_a_partial_run_changes_what_it_ran_and_is_noted(tmp_path: Path) -> None:
    write_pair(tmp_path, run_with("ours", "theirs", "TestSync", "TestSync/naïve_☃"), suite=SUITE)
    part = run_with("ours", "theirs", only="TestSync")
    for _ in range(2):
        kept = write_pair(tmp_path, part, suite=SUITE)
    assert kept.statuses == {SYNC: Status.PASS, SUBTEST: Status.FAIL}
    assert kept.header.filter is None
    assert read_pair(tmp_path / "pairs/ours+theirs.jsonl").updates == (part.header,)


def test_what_does_not_count_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(IncompleteRun):
        write_pair(tmp_path, run_with("ours", "theirs", finished=False), suite=SUITE)
    with pytest.raises(PartialRun):
        write_pair(tmp_path, run_with("ours", "theirs", only="TestSync"), suite=SUITE)
    write_pair(tmp_path, run_with("ours", "theirs"), suite=SUITE)
    part = run_with("ours", "theirs", only="TestSync")
    with pytest.raises(PartialRun, match="another commit"):
        write_pair(tmp_path, replace(part, header=replace(part.header, suite_commit="2")), suite=SUITE)
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(BadResults, match="no header"):
        read_pair(tmp_path / "empty.jsonl")


def test_the_servers_own_results_are_those_of_it_with_itself(tmp_path: Path) -> None:
    write_results(tmp_path, run_of(ALL_PASS, head=replace(header(), server_name="ours")), suite=SUITE)
    write_pair(tmp_path, run_with("ours", "theirs"), suite=SUITE)
    pairs = load_pairs(tmp_path, suite=SUITE)
    assert list(pairs.found) == [("ours", "ours"), ("ours", "theirs")]
    assert pairs.found["ours", "ours"].passed == 2
    assert not load_pairs(tmp_path / "none").found


@pytest.mark.parametrize(
    ("ours", "theirs", "fault", "alone"),
    [
        ((), (), "ours", ("ours", "theirs")),
        (("TestSync",), (), "ours", ("theirs",)),
        ((), ("TestSync",), "theirs", ("ours",)),
        (("TestSync",), ("TestSync",), "", ()),
    ],
)
def test_whose_fault_it_is(
    ours: tuple[str, ...], theirs: tuple[str, ...], fault: str, alone: tuple[str, ...]
) -> None:
    pairs = pairs_of(
        run_with("ours", "ours", *ours),
        run_with("theirs", "theirs", *theirs),
        run_with("ours", "theirs", "TestSync"),
        run_with("theirs", "ours"),
    )
    assert pairs.findings("theirs") == [
        Finding(pair="ours+theirs", key=SYNC, status=Status.FAIL, fault=fault, alone=alone)
    ]


def test_what_passes_alone_comes_first() -> None:
    pairs = pairs_of(
        run_with("ours", "ours", "TestSync"),
        run_with("theirs", "theirs"),
        run_with("theirs", "ours", "TestSync", "TestSync/naïve_☃"),
    )
    assert [finding.key for finding in pairs.findings("theirs")] == [SUBTEST, SYNC]


def test_nobody_is_blamed_before_it_is_known_what_passes_alone() -> None:
    assert pairs_of(run_with("ours", "theirs", "TestSync"), run_with("ours", "ours")).findings() == []


def test_the_ratchet_is_not_for_pairs() -> None:
    expectations = Expectations(suite_commit=SUITE_COMMIT)
    run = run_with("ours", "theirs")
    assert [problem.kind for problem in check(expectations, run)] == [ProblemKind.PAIR]
    with pytest.raises(ValueError, match="pair"):
        update(expectations, run)


def test_the_dashboard_shows_a_grid() -> None:
    pairs = pairs_of(
        run_with("ours", "ours"),
        run_with("theirs", "theirs"),
        run_with("ours", "theirs", "TestSync"),
    )
    source = ReportInput(run=run_of(ALL_PASS), pairs=pairs)
    report = build_report(source, suite=SUITE, catalogue=small_catalogue())
    cell = {"passed": 2, "total": 2}
    assert report["pairs"]["servers"] == ["ours", "theirs"]
    assert report["pairs"]["grid"] == [[cell, {"passed": 1, "total": 2}], [None, cell]]
    page = render_page(report)
    assert "1 / 2" in page
    assert "What fails in a pair (1)" in page
    alone = ReportInput(run=run_of(ALL_PASS), pairs=pairs_of(run_with("ours", "ours")))
    assert 'id="pairs"' not in render_page(build_report(alone, suite=SUITE, catalogue=small_catalogue()))
