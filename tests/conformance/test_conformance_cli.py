"""The commands, run as a user would, on the real suite's list."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import pytest
from palpo_conformance.cli import add_subcommands
from palpo_conformance.files import write_results, write_run
from palpo_conformance.model import Run, RunHeader, Status, TestResult, build_run
from palpo_conformance.pairs import write_pair
from palpo_conformance.ratchet import load_expectations
from palpo_conformance.suite import load_suite


def full_run(*failing: str, finished: bool = True) -> Run:
    suite = load_suite()
    skips = suite.self_skips()
    results = [
        TestResult(
            package=package,
            test=test,
            status=Status.SKIP
            if (package, test) in skips
            else Status.FAIL
            if test in failing
            else Status.PASS,
            operations=("client-server/login",),
            duration=0.5,
        )
        for package, test in suite.row_keys()
    ]
    header = RunHeader(
        suite_commit=suite.commit,
        server_name="Example",
        server_commit="1",
        engine="process",
        database="sqlite",
    )
    return build_run(header, results, finished=finished)


def command(folder: Path, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    add_subcommands(parser.add_subparsers(required=True))
    name, *rest = arguments
    places = ["--run-file", str(folder / "run.jsonl"), "--results", str(folder / "results")]
    parsed = parser.parse_args([name, *places, *rest])
    return int(parsed.handler(parsed))


def test_ratchet_goes_from_nothing_to_holding_to_failing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "run.jsonl", full_run("TestSearch"))
    assert command(tmp_path, "ratchet") == 2
    assert command(tmp_path, "ratchet", "--update") == 0
    assert len(load_expectations(tmp_path / "results/expectations.jsonl").tests) == 844
    write_run(tmp_path / "run.jsonl", full_run("TestLogin"))
    assert command(tmp_path, "ratchet") == 1
    printed = capsys.readouterr().out
    assert "regression: tests/csapi:TestLogin: expected pass, got fail" in printed
    assert "stale: tests/csapi:TestSearch: expected fail, got pass" in printed
    assert command(tmp_path, "ratchet", "--update") == 1
    assert command(tmp_path, "ratchet", "--update", "--accept-worse") == 0


def test_ratchet_does_not_pass_a_run_that_was_cut_short(tmp_path: Path) -> None:
    write_run(tmp_path / "run.jsonl", full_run())
    assert command(tmp_path, "ratchet", "--update") == 0
    write_run(tmp_path / "run.jsonl", full_run(finished=False))
    assert command(tmp_path, "ratchet") == 1
    assert command(tmp_path, "ratchet", "--update") == 1
    assert command(tmp_path, "summary") == 1


def test_summary_counts_by_feature(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run.jsonl", full_run("TestSearch"))
    assert command(tmp_path, "summary") == 0
    printed = capsys.readouterr().out
    assert "   7 / 8    search" in printed
    assert " 830 / 831  passed; 1 failed" in printed


def test_show_tells_everything_about_a_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run.jsonl", full_run("TestSearch"))
    log = tmp_path / "logs/tests.csapi/TestSearch.log"
    assert command(tmp_path, "show", "TestSearch") == 0
    assert "none kept" in capsys.readouterr().out
    log.parent.mkdir(parents=True)
    log.write_text("log\n")
    assert command(tmp_path, "show", "TestSearch") == 0
    printed = capsys.readouterr().out
    for part in (
        "tests/csapi:TestSearch",
        "fail",
        "search",
        "apidoc_search_test.go:",
        str(log),
        "client-server/login",
    ):
        assert part in printed
    assert command(tmp_path, "show", "TestSync") == 0
    assert "tests/msc4222:TestSync" in capsys.readouterr().out
    assert command(tmp_path, "show", "msc4222:TestSync") == 0
    assert "sync" in capsys.readouterr().out
    assert command(tmp_path, "show", "NoSuchTest") == 1


def test_show_tells_what_was_asked_of_others_meanwhile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = full_run()
    run = replace(run, results=tuple(replace(r, started=10.0, ended=20.0) for r in run.results))
    write_run(tmp_path / "run.jsonl", run)
    record = {"server": "hs1", "peer": "hs2", "method": "GET", "status": 200, "package": "tests/csapi"}
    lines = [{**record, "path": path, "time": time} for path, time in (("/b", 15), ("/a", 11), ("/c", 21))]
    lines.append({**record, "path": "/d", "time": 15, "package": "tests"})
    (tmp_path / "asked.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert command(tmp_path, "show", "TestSearch") == 0
    asked = [line for line in capsys.readouterr().out.splitlines() if line.startswith("asked")]
    assert asked == ["asked       hs1 of hs2: GET /a => 200", "asked       hs1 of hs2: GET /b => 200"]


def test_violations_of_others_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(*of: str) -> None:
        record = {"operation": "server-server/getVersion", "status": 200, "pointer": "/x", "test": "TestA"}
        text = "".join(json.dumps({**record, "of": word, "message": "odd"}) + "\n" for word in of)
        (tmp_path / "violations.jsonl").write_text(text)

    assert command(tmp_path, "violations") == 0
    wrong("received", "received")
    assert command(tmp_path, "violations") == 0
    line = "received    2 times server-server/getVersion 200 (TestA) at /x: odd\n"
    assert capsys.readouterr().out == line
    wrong("received", "request")
    assert command(tmp_path, "violations") == 1
    wrong()
    (tmp_path / "access.jsonl").write_text('{"operation":"client-server/sync","status":502}\n')
    assert command(tmp_path, "violations") == 1
    assert "5xx         1 times client-server/sync 502" in capsys.readouterr().out


def test_compare_lays_other_files_beside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "run.jsonl", full_run("TestSearch"))
    other = tmp_path / "other.result.jsonl"
    other.write_text('{"Action":"pass","Test":"TestSearch"}\n{"Action":"pass","Test":"TestGone"}\n')
    assert command(tmp_path, "compare", "--tests", str(other)) == 0
    printed = capsys.readouterr().out
    assert "other: alone passes 1" in printed
    assert "  - tests/csapi:TestSearch\n" in printed
    assert "1 of its lines name no test" in printed


def test_pairs_names_what_is_worse_than_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def keep(first: str, second: str, *failing: str) -> None:
        run = full_run(*failing)
        write_pair(
            tmp_path / "results", replace(run, header=replace(run.header, server_name=first, other=second))
        )

    for first, second in (("ours", "ours"), ("synapse", "synapse"), ("synapse", "ours")):
        keep(first, second)
    assert command(tmp_path, "pairs") == 0
    keep("synapse", "ours", "TestACLs")
    assert command(tmp_path, "pairs") == 1
    printed = capsys.readouterr().out
    assert (
        "synapse+ours: fail tests:TestACLs: passes with synapse+synapse and ours+ours: ours's fault"
        in printed
    )
    assert command(tmp_path, "pairs", "--reference", "ours") == 1
    assert "synapse's fault" in capsys.readouterr().out


def test_report_links_logs_from_where_the_page_is(tmp_path: Path) -> None:
    write_run(tmp_path / "run.jsonl", full_run("TestSearch"))
    (tmp_path / "logs/tests.csapi").mkdir(parents=True)
    (tmp_path / "logs/tests.csapi/TestSearch.log").write_text("log\n")
    (tmp_path / "violations.jsonl").write_text(
        '{"operation":"client-server/sync","path":"/x","status":200,"pointer":"/x","message":"odd"}\n'
    )
    assert command(tmp_path, "report", "--out", str(tmp_path / "pages/report")) == 0
    page = (tmp_path / "pages/report/index.html").read_text(encoding="utf-8")
    assert 'href="../../logs/tests.csapi/TestSearch.log"' in page
    assert "client-server/sync" in page


def test_committed_results_serve_when_there_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_results(tmp_path / "results", full_run())
    parser = argparse.ArgumentParser()
    add_subcommands(parser.add_subparsers(required=True))
    parsed = parser.parse_args(["summary"])
    assert parsed.handler(parsed) == 0
    assert " 831 / 831  passed" in capsys.readouterr().out


def test_unreadable_data_is_exit_code_two(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.jsonl").write_text("no run\n")
    assert command(tmp_path, "summary") == 2
    assert "run.jsonl:1" in capsys.readouterr().err
    (tmp_path / "run.jsonl").unlink()
    assert command(tmp_path, "summary") == 2
