"""The results model and its files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from palpo_conformance.files import (
    BadResults,
    IncompleteRun,
    PartialRun,
    load_results,
    log_path,
    read_run,
    write_results,
    write_run,
)
from palpo_conformance.model import (
    Status,
    attribute_operations,
    merge_rerun,
    status_counts,
    summarise,
    summarise_packages,
)

from tests.conformance.conformance_builders import ALL_PASS, header, results, run_of, small_suite


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]


def test_what_never_started_is_not_run_and_does_not_shrink_the_denominator() -> None:
    run = run_of({"tests:TestSync": "pass"})
    assert len(run.results) == 7
    assert run.footer is not None
    assert (run.footer.rows, run.footer.self_skips, run.footer.denominator) == (7, 1, 6)
    assert (run.footer.passed, run.footer.not_run) == (1, 5)


def test_statuses_add_up_to_the_denominator() -> None:
    statuses = {**ALL_PASS, "tests/csapi:TestLogin": "fail", "tests/csapi:TestSync": "skip"}
    del statuses["tests:TestSync"]
    foot = run_of(statuses).footer
    assert foot is not None
    assert (foot.passed, foot.failed, foot.skipped, foot.not_run) == (3, 1, 1, 1)
    assert foot.passed + foot.failed + foot.skipped + foot.not_run == foot.denominator


def test_a_test_that_the_suite_does_not_list_is_counted_apart() -> None:
    foot = run_of({**ALL_PASS, "tests:TestNovel": "pass"}).footer
    assert foot is not None
    assert (foot.passed, foot.unlisted) == (6, 1)


def test_a_run_file_comes_back_as_it_was(tmp_path: Path) -> None:
    run = run_of(ALL_PASS, head=header(packages=("tests",), only="TestSync"))
    run = replace(
        run, results=(replace(run.results[0], duration=1.25, operations=("a/b",)), *run.results[1:])
    )
    path = tmp_path / "out" / "run.jsonl"
    write_run(path, run)
    assert read_run(path) == run
    assert [json.loads(line)["type"] for line in lines_of(path)] == ["header", *["test"] * 7, "footer"]


def test_a_run_that_was_cut_short_has_no_footer_and_cannot_be_kept(tmp_path: Path) -> None:
    run = run_of(ALL_PASS, finished=False)
    write_run(tmp_path / "run.jsonl", run)
    assert not read_run(tmp_path / "run.jsonl").complete
    with pytest.raises(IncompleteRun):
        write_results(tmp_path / "results", run)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]\n",
        '{"type":"header"}\n',
        '{"type":"test","package":"a","test":"b","status":"pass"}\n',
        '{"type":"test","package":"a","test":"b","status":"maybe"}\n',
        '{"type":"other"}\n',
        '{"type":\n',
    ],
)
def test_a_file_that_is_no_run_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(text)
    with pytest.raises(BadResults, match=r"run\.jsonl"):
        read_run(path)


def test_committed_results_stand_in_their_home_features_file_sorted_and_free_of_times(tmp_path: Path) -> None:
    run = run_of(ALL_PASS)
    run = replace(run, results=tuple(replace(r, duration=1.0, started=2.0, ended=3.0) for r in run.results))
    write_results(tmp_path, run, suite=small_suite())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["login.jsonl", "run.json", "sync.jsonl"]
    records = [json.loads(line) for line in lines_of(tmp_path / "sync.jsonl")]
    assert [(r["package"], r["test"]) for r in records] == [
        ("tests", "TestSync"),
        ("tests/csapi", "TestSync"),
        ("tests/csapi", "TestSync/archived"),
        ("tests/csapi", "TestSync/naïve_☃"),
    ]
    assert all(set(r) == {"package", "test", "status", "features", "operations"} for r in records)
    good = json.loads(lines_of(tmp_path / "login.jsonl")[1])
    assert good["features"] == ["login", "sync"]


def test_writing_the_same_outcome_again_changes_no_byte(tmp_path: Path) -> None:
    run = run_of(ALL_PASS)
    write_results(tmp_path, run)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    slower = tuple(replace(result, duration=99.0) for result in reversed(run.results))
    write_results(tmp_path, replace(run, results=slower))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_file_of_a_feature_that_is_gone_goes_and_the_expectations_stay(tmp_path: Path) -> None:
    (tmp_path / "retired.jsonl").write_text("{}\n")
    (tmp_path / "expectations.jsonl").write_text("kept\n")
    write_results(tmp_path, run_of(ALL_PASS))
    assert not (tmp_path / "retired.jsonl").exists()
    assert (tmp_path / "expectations.jsonl").read_text() == "kept\n"


def test_results_are_loaded_back(tmp_path: Path) -> None:
    run = run_of({**ALL_PASS, "tests:TestSync": "fail"})
    write_results(tmp_path, run)
    assert load_results(tmp_path) == run


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadResults):
        load_results(tmp_path)


@pytest.mark.parametrize("line", ["{}", "[]", '{"package":"a","test":"b","status":"pass","features":5}'])
def test_a_wrong_line_in_the_results_is_named(tmp_path: Path, line: str) -> None:
    write_results(tmp_path, run_of(ALL_PASS))
    (tmp_path / "sync.jsonl").write_text(line + "\n")
    with pytest.raises(BadResults, match=r"sync\.jsonl:1: "):
        load_results(tmp_path)


def test_what_is_wrong_with_a_run_is_said_once(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text('{"type":"other"}\n')
    with pytest.raises(BadResults) as raised:
        read_run(path)
    assert str(raised.value) == f"{path}:1: a line of type 'other'"


def test_a_partial_run_is_merged_only_when_asked_and_only_with_what_it_ran(tmp_path: Path) -> None:
    write_results(tmp_path, run_of({**ALL_PASS, "tests:TestSync": "fail"}))
    part = run_of({"tests:TestSync": "pass"}, head=header(packages=("tests",)))
    with pytest.raises(PartialRun):
        write_results(tmp_path, part)
    merged = write_results(tmp_path, part, merge=True, suite=small_suite())
    loaded = load_results(tmp_path)
    assert loaded == merged
    assert loaded.footer is not None
    assert loaded.footer.passed == 6
    assert loaded.header == header()
    updates = json.loads((tmp_path / "run.json").read_text())["updates"]
    assert [update["packages"] for update in updates] == [["tests"]]


def test_a_partial_run_needs_results_of_the_same_suite(tmp_path: Path) -> None:
    part = run_of({"tests:TestSync": "pass"}, head=header(only="TestSync"))
    with pytest.raises(PartialRun, match="no results"):
        write_results(tmp_path, part, merge=True, suite=small_suite())
    write_results(tmp_path, run_of(ALL_PASS))
    other = replace(part, header=replace(part.header, suite_commit="another"))
    with pytest.raises(PartialRun, match="another commit"):
        write_results(tmp_path, other, merge=True, suite=small_suite())


def test_a_test_counts_under_each_of_its_features_and_self_skips_under_none() -> None:
    tallies = summarise(run_of(ALL_PASS), suite=small_suite())
    assert {name: (tally.passed, tally.total) for name, tally in tallies.items()} == {
        "login": (3, 3),
        "sync": (4, 4),
    }
    packages = summarise_packages(run_of(ALL_PASS), suite=small_suite())
    assert {name: tally.total for name, tally in packages.items()} == {"tests": 1, "tests/csapi": 5}


def test_what_a_rerun_turned_is_a_flaky_pass() -> None:
    failing = {**ALL_PASS, "tests:TestSync": "fail", "tests/csapi:TestLogin": "fail"}
    first = run_of(failing)
    again = run_of({"tests:TestSync": "pass", "tests/csapi:TestLogin": "fail"}, head=header(only="x"))
    merged = merge_rerun(first, again)
    found = {(r.package, r.test): (r.status, r.flaky) for r in merged.results}
    assert found["tests", "TestSync"] == (Status.PASS, True)
    assert found["tests/csapi", "TestLogin"] == (Status.FAIL, False)
    assert merged.footer is not None
    assert (merged.footer.passed, merged.footer.failed, merged.footer.flaky) == (5, 1, 1)
    assert summarise(merged, suite=small_suite())["sync"].flaky == 1


def test_a_rerun_takes_no_pass_away_and_counts_only_when_finished() -> None:
    first = run_of({**ALL_PASS, "tests:TestSync": "fail"})
    worse = run_of({"tests/csapi:TestLogin": "fail"}, head=header(only="x"))
    assert merge_rerun(first, worse) == first
    cut = run_of({"tests:TestSync": "pass"}, head=header(only="x"), finished=False)
    assert merge_rerun(first, cut) == first


def test_calls_belong_to_the_tests_that_ran_at_their_time() -> None:
    early, late, never = results({"tests:A": "pass", "tests:B": "pass", "tests:C": "not_run"})
    calls = {
        "tests": [(5.0, "client-server/sync"), (1.5, "client-server/login"), (1.0, "client-server/login")]
    }
    spans = [replace(early, started=1.0, ended=2.0), replace(late, started=4.0, ended=6.0), never]
    found = [result.operations for result in attribute_operations(spans, calls)]
    assert found == [("client-server/login",), ("client-server/sync",), ()]


def test_log_paths_are_one_for_each_top_level_test() -> None:
    assert log_path("tests/csapi", "TestLogin/wrong/../x") == "logs/tests.csapi/TestLogin.log"


def test_status_counts_name_every_status() -> None:
    counts = status_counts(run_of({"tests:TestSync": "fail"}).results)
    assert counts == {"pass": 0, "fail": 1, "skip": 0, "not_run": 6}
