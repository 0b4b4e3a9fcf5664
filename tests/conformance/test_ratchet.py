"""The ratchet: each way in which a run may not differ from the expectations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from palpo_conformance.files import BadResults
from palpo_conformance.model import Run, Status, merge_rerun
from palpo_conformance.ratchet import (
    Expectations,
    ProblemKind,
    check,
    load_expectations,
    update,
    write_expectations,
)

from tests.conformance.conformance_builders import ALL_PASS, header, run_of

SYNC = ("tests", "TestSync")


def expecting(statuses: dict[str, str]) -> Expectations:
    return update(None, run_of(statuses))


def problems(expectations: Expectations, run: Run) -> list[tuple[str, str | None]]:
    return [(problem.kind.value, problem.test) for problem in check(expectations, run)]


def test_a_run_as_expected_holds() -> None:
    assert check(expecting(ALL_PASS), run_of(ALL_PASS)) == []


@pytest.mark.parametrize(
    ("expected", "got", "kind"),
    [
        ("pass", "fail", "regression"),
        ("pass", "skip", "regression"),
        ("pass", "not_run", "regression"),
        ("fail", "skip", "regression"),
        ("fail", "not_run", "regression"),
        ("fail", "pass", "stale"),
        ("skip", "pass", "stale"),
        ("skip", "fail", "stale"),
        ("not_run", "fail", "stale"),
    ],
)
def test_any_other_status_is_a_regression_or_a_stale_expectation(expected: str, got: str, kind: str) -> None:
    before, after = {**ALL_PASS, "tests:TestSync": expected}, {**ALL_PASS, "tests:TestSync": got}
    assert problems(expecting(before), run_of(after)) == [(kind, "TestSync")]


def test_a_run_without_its_footer_does_not_count() -> None:
    assert problems(expecting(ALL_PASS), run_of(ALL_PASS, finished=False)) == [("incomplete", None)]


def test_a_run_of_another_suite_is_not_compared() -> None:
    run = run_of(ALL_PASS, head=replace(header(), suite_commit="another"))
    assert problems(expecting(ALL_PASS), run) == [("other_suite", None)]


def test_a_test_that_vanished_and_a_new_one_are_problems() -> None:
    expectations = expecting({**ALL_PASS, "tests:TestOld": "pass"})
    run = run_of({**ALL_PASS, "tests:TestNovel": "pass"})
    assert problems(expectations, run) == [("vanished", "TestOld"), ("new", "TestNovel")]


def test_a_partial_run_is_held_to_what_it_ran() -> None:
    head = header(packages=("tests",))
    assert check(expecting(ALL_PASS), run_of({"tests:TestSync": "pass"}, head=head)) == []
    failed = run_of({"tests:TestSync": "fail"}, head=head)
    assert problems(expecting(ALL_PASS), failed) == [("regression", "TestSync")]


def test_a_listed_flaky_test_may_go_either_way_but_must_run() -> None:
    expectations = replace(expecting(ALL_PASS), flaky={SYNC: "a race in the test"}, flaky_bound=1)
    assert check(expectations, run_of({**ALL_PASS, "tests:TestSync": "fail"})) == []
    gone = {name: status for name, status in ALL_PASS.items() if name != "tests:TestSync"}
    assert problems(expectations, run_of(gone)) == [("regression", "TestSync")]


def test_a_test_that_fails_by_listed_subtests_alone_is_no_regression() -> None:
    tests = {
        "tests:TestA": "pass",
        "tests:TestA/b": "pass",
        "tests:TestA/b/c": "pass",
        "tests:TestA/d": "pass",
    }
    listed = replace(expecting(tests), flaky={("tests", "TestA/b/c"): "a race"}, flaky_bound=1)
    by_it = {**tests, **dict.fromkeys(("tests:TestA", "tests:TestA/b", "tests:TestA/b/c"), "fail")}
    assert check(listed, run_of(by_it)) == []
    others = run_of({**by_it, "tests:TestA/d": "fail"})
    assert problems(listed, others) == [("regression", "TestA"), ("regression", "TestA/d")]
    assert problems(listed, run_of({**tests, "tests:TestA": "fail"})) == [("regression", "TestA")]


def test_the_flaky_list_does_not_grow() -> None:
    first = run_of({**ALL_PASS, "tests:TestSync": "fail"})
    run = merge_rerun(first, run_of({"tests:TestSync": "pass"}, head=header(only="TestSync")))
    assert problems(expecting(ALL_PASS), run) == [("flaky", "TestSync")]
    listed = replace(expecting(ALL_PASS), flaky={SYNC: "a race"}, flaky_bound=0)
    assert problems(listed, run) == [("flaky", None)]
    assert check(replace(listed, flaky_bound=1), run) == []


def test_an_update_takes_improvements_and_leaves_regressions() -> None:
    before = expecting({**ALL_PASS, "tests:TestSync": "fail"})
    run = run_of({**ALL_PASS, "tests/csapi:TestLogin": "fail"})
    updated = update(before, run)
    assert updated.tests[SYNC] is Status.PASS
    assert [p.kind for p in check(updated, run)] == [ProblemKind.REGRESSION]
    assert check(update(before, run, allow_worse=True), run) == []


def test_an_update_drops_a_vanished_test_only_when_worse_is_allowed() -> None:
    before = expecting({**ALL_PASS, "tests:TestOld": "pass"})
    run = run_of(ALL_PASS)
    assert ("tests", "TestOld") in update(before, run).tests
    assert ("tests", "TestOld") not in update(before, run, allow_worse=True).tests


def test_an_update_by_a_partial_run_keeps_the_rest() -> None:
    before = expecting({**ALL_PASS, "tests:TestSync": "fail"})
    part = run_of({"tests:TestSync": "pass"}, head=header(packages=("tests",)))
    updated = update(before, part, allow_worse=True)
    assert updated.tests == expecting(ALL_PASS).tests


def test_an_update_needs_a_footer() -> None:
    with pytest.raises(ValueError, match="no footer"):
        update(None, run_of(ALL_PASS, finished=False))


def test_an_update_keeps_a_flaky_tests_line() -> None:
    before = replace(expecting(ALL_PASS), flaky={SYNC: "a race"}, flaky_bound=1)
    after = update(before, run_of({**ALL_PASS, "tests:TestSync": "fail"}), allow_worse=True)
    assert (after.tests[SYNC], dict(after.flaky), after.flaky_bound) == (Status.PASS, {SYNC: "a race"}, 1)
    assert update(before, run_of(ALL_PASS), flaky_bound=0).flaky_bound == 0


def test_expectations_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "expectations.jsonl"
    expectations = replace(expecting(ALL_PASS), flaky={SYNC: "a race"}, flaky_bound=2)
    write_expectations(path, expectations)
    assert load_expectations(path) == expectations


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}\n",
        '{"suite_commit":"c"}\n{"package":"p","test":"t"}\n',
        '{"suite_commit":"c"}\n{"package":"p","test":"t","expected":"maybe"}\n',
        '{"suite_commit":"c"}\n{"package":"p","test":"t","expected":"pass","flaky":" "}\n',
    ],
)
def test_expectations_that_say_too_little_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "expectations.jsonl"
    path.write_text(text)
    with pytest.raises(BadResults):
        load_expectations(path)
