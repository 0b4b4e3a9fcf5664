"""Other servers' result files over a run."""

from __future__ import annotations

from pathlib import Path

from palpo_conformance.compare import differences, read_other, tally_other
from palpo_conformance.files import write_run
from palpo_conformance.model import Status

from tests.conformance.conformance_builders import ALL_PASS, run_of, small_suite

LINES = """
{"Action":"run","Package":"example.org/suite/tests","Test":"TestSync"}
{"Action":"pass","Package":"example.org/suite/tests","Test":"TestSync"}
{"Action":"pass","Test":"TestSync"}
{"Action":"fail","Test":"TestLogin"}
{"Action":"pass","Test":"TestLogin/good_password"}
{"Action":"skip","Test":"TestSync/archived"}
{"Action":"pass","Test":"TestOfAnOlderSuite"}
{"Action":"pass","Package":"example.org/suite/tests","Test":"TestLogin"}
{"Action":"fail","Package":"example.org/suite/tests"}
"""


def test_results_are_matched_by_package_or_by_a_name_that_only_one_package_has(tmp_path: Path) -> None:
    path = tmp_path / "server-1.2.result.jsonl"
    path.write_text(LINES)
    other = read_other(path, suite=small_suite())
    assert other.name == "server-1.2"
    assert other.status(("tests", "TestSync")) is Status.PASS
    assert other.status(("tests/csapi", "TestLogin")) is Status.FAIL
    assert other.status(("tests/csapi", "TestSync")) is Status.NOT_RUN
    assert (other.ambiguous, other.unlisted) == (1, 2)


def test_the_denominator_is_the_same_for_all(tmp_path: Path) -> None:
    path = tmp_path / "server.jsonl"
    path.write_text(LINES)
    tallies = tally_other(read_other(path, suite=small_suite()), run_of(ALL_PASS), suite=small_suite())
    assert {name: (t.passed, t.total) for name, t in tallies.items()} == {
        "": (2, 6),
        "login": (1, 3),
        "sync": (2, 4),
    }


def test_a_run_of_the_laboratory_can_be_laid_over_too(tmp_path: Path) -> None:
    path = tmp_path / "ours.jsonl"
    write_run(path, run_of({**ALL_PASS, "tests:TestSync": "fail"}))
    run = run_of({**ALL_PASS, "tests/csapi:TestLogin": "fail"})
    behind, ahead = differences(run, read_other(path, suite=small_suite()), suite=small_suite())
    assert behind == [("tests/csapi", "TestLogin")]
    assert ahead == [("tests", "TestSync")]
