"""The suite's list made anew from Go's source and a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from palpo_conformance.model import Run, build_run
from palpo_conformance.pin import compare_suites, compile_suite, read_tests, write_suite
from palpo_conformance.suite import parse_suite

from tests.conformance.conformance_builders import header, results, small_suite

LOGIN = """package csapi

func TestMain(m *testing.M) { complement.TestMain(m, "csapi") }

// TestLogin says func TestNothing( in a comment.
func TestLogin(t *testing.T) {
	deployment := complement.Deploy(t, 1)
	helper(t)
}

func helper(t *testing.T) {
	deployment := complement.Deploy(t, 3)
}

func Testing(t *testing.T) {}
"""
SYNC = """package csapi

func TestSync(t *testing.T) {
	deployment := complement.OldDeploy(t, b.BlueprintPair)
}
"""
BLUEPRINT = """package b

var BlueprintPair = MustValidate(Blueprint{
	Name: "pair",
	Homeservers: []Homeserver{
		{
			Name: "hs1",
		},
		{
			Name: "hs2",
		},
	},
})
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name, text in (("login", LOGIN), ("sync", SYNC)):
        path = tmp_path / f"tests/csapi/{name}_test.go"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/pair.go").write_text(BLUEPRINT)
    return tmp_path


def a_run(*, finished: bool = True) -> Run:
    statuses = {
        "tests/csapi:TestLogin": "pass",
        "tests/csapi:TestLogin/good_password": "fail",
        "tests/csapi:TestLogin/new/☃#01": "skip",
        "tests/csapi:TestSync": "pass",
        "tests/csapi:TestSync/archived": "skip",
    }
    return build_run(header(), results(statuses), finished=finished, suite=small_suite())


def test_tests_come_from_the_source_and_subtests_from_the_run(checkout: Path) -> None:
    assert read_tests(checkout) == {"tests/csapi": ["TestLogin", "TestSync"]}
    suite = compile_suite(checkout, "new", a_run(), small_suite())
    login, sync = suite.tests
    assert (login.test, login.file, login.line) == ("TestLogin", "tests/csapi/login_test.go", 6)
    assert login.subtests == ("good_password", "new/☃#01")
    assert (login.homeservers, sync.homeservers) == (3, 2)
    assert (suite.commit, suite.module) == ("new", "example.org/suite")


def test_a_skip_leaves_the_denominator_only_when_it_is_known_or_named(checkout: Path) -> None:
    old, run = small_suite(), a_run()
    suite = compile_suite(checkout, "new", run, old)
    assert suite.self_skips() == {("tests/csapi", "TestSync/archived")}
    assert compare_suites(old, suite, run).skipped == (("tests/csapi", "TestLogin/new/☃#01"),)
    named = compile_suite(checkout, "new", run, old, ["tests/csapi:TestLogin/new/☃#01"])
    assert len(named.self_skips()) == 2
    assert compare_suites(old, named, run).skipped == ()


def test_what_came_and_what_went_is_told(checkout: Path) -> None:
    old, run = small_suite(), a_run()
    change = compare_suites(old, compile_suite(checkout, "new", run, old), run)
    assert change.added == (("tests/csapi", "TestLogin/new/☃#01"),)
    assert ("tests", "TestSync") in change.removed


def test_the_list_comes_back_as_it_was(checkout: Path, tmp_path: Path) -> None:
    suite = compile_suite(checkout, "new", a_run(), small_suite())
    write_suite(tmp_path / "suite.json", suite)
    assert parse_suite(json.loads((tmp_path / "suite.json").read_text(encoding="utf-8"))) == suite


def test_an_unfinished_run_does_not_know_all_subtests(checkout: Path) -> None:
    with pytest.raises(ValueError, match="no footer"):
        compile_suite(checkout, "new", a_run(finished=False), small_suite())
