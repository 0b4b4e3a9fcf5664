"""From what servers and Complement wrote to records by test, and logs of failures."""

from __future__ import annotations

import json
from pathlib import Path

from palpo_complement import records
from palpo_complement.records import Server, Timeline
from palpo_conformance.model import Status, TestResult

FIRST = Server(id="a" * 64, package="tests/csapi", name="hs1", test="TestOne")
SETUP = Server(id="b" * 64, package="tests/csapi", name="hs1", test="")


def result(test: str, started: float, ended: float, package: str = "tests/csapi") -> TestResult:
    return TestResult(package=package, test=test, status=Status.FAIL, started=started, ended=ended)


def write(output: Path, server: Server, kind: str, *rows: object) -> None:
    path = output / records.SERVERS / f"{server.id}.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))


def read(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_post_test_log_names_the_top_level_test(tmp_path: Path) -> None:
    path = tmp_path / "containers"
    path.write_text("abc\tTestOne/sub_test\ttrue\ndef\tTestTwo\tfalse\ntorn\tTes")
    assert records.read_post_log(path) == {"abc": "TestOne", "def": "TestTwo"}
    assert records.read_post_log(tmp_path / "none") == {}


def test_timeline_knows_the_running_test() -> None:
    timeline = Timeline([result("TestTwo", 20, 30), result("TestOne", 10, 20), result("TestOne/sub", 12, 25)])
    assert [timeline.at("tests/csapi", moment) for moment in (9, 10, 15, 25, 31)] == [
        "",
        "TestOne",
        "TestOne",
        "TestTwo",
        "",
    ]
    assert timeline.at("tests", 15) == ""


def test_records_are_merged_with_their_test(tmp_path: Path) -> None:
    call = {"time": 15.5, "method": "GET", "path": "/x", "operation": "getX", "status": 200}
    write(tmp_path, FIRST, records.ACCESS, {**call, "time": 99.0}, '{"time": 1, "meth')
    write(tmp_path, SETUP, records.ACCESS, call)
    write(tmp_path, SETUP, records.VIOLATIONS, {"time": 15.0, "operation": "getX", "message": "no"})
    timeline = Timeline([result("TestTwo", 10, 20)])
    calls = records.merge(tmp_path, tmp_path, [FIRST, SETUP], timeline)
    assert [(record["time"], record["test"]) for record in calls["tests/csapi"]] == [
        (99.0, "TestOne"),
        (15.5, "TestTwo"),
    ]
    assert read(tmp_path / "access.jsonl") == calls["tests/csapi"]
    (violation,) = read(tmp_path / "violations.jsonl")
    assert violation["test"] == "TestTwo"
    assert violation["package"] == "tests/csapi"


def test_records_from_before_a_servers_test_are_its_blueprints(tmp_path: Path) -> None:
    write(tmp_path, FIRST, records.ACCESS, {"time": 5.0, "path": "/old"}, {"time": 11.0, "path": "/own"})
    calls = records.merge(tmp_path, tmp_path, [FIRST], Timeline([result("TestOne", 10, 20)]))
    assert [record["path"] for record in calls["tests/csapi"]] == ["/own"]


def test_log_of_a_failure_has_the_output_and_the_servers(tmp_path: Path) -> None:
    write(tmp_path, FIRST, "log", "server says no\n")
    write(tmp_path, SETUP, "log", "setting up\n")
    failed = [("tests/csapi", "TestOne")]
    outputs = {("tests/csapi", "TestOne"): "--- FAIL: TestOne\n"}
    records.keep_logs(tmp_path, tmp_path, [FIRST, SETUP], failed, outputs, everything=False)
    text = (tmp_path / "logs/tests.csapi/TestOne.log").read_text()
    assert text.startswith("--- FAIL: TestOne\n")
    assert "server says no" in text
    assert "setting up" not in text
    assert list((tmp_path / records.SERVERS).iterdir()) == []


def test_a_log_that_complement_printed_is_not_repeated(tmp_path: Path) -> None:
    write(tmp_path, FIRST, "log", "server says no\n")
    outputs = {("tests/csapi", "TestOne"): f"{FIRST.id} : Server logs:\nserver says no\n"}
    records.keep_logs(tmp_path, tmp_path, [FIRST], [("tests/csapi", "TestOne")], outputs, everything=True)
    text = (tmp_path / "logs/tests.csapi/TestOne.log").read_text()
    assert text.count("server says no") == 1
    assert (tmp_path / records.SERVERS / f"{FIRST.id}.log").exists()


def test_output_is_gathered_by_top_level_test(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    events = [
        {"Action": "output", "Test": "TestOne", "Output": "one\n"},
        {"Action": "output", "Test": "TestOne/sub", "Output": "sub\n"},
        {"Action": "output", "Output": "PASS\n"},
        {"Action": "pass", "Test": "TestOne"},
    ]
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    assert records.test_outputs({path: "tests"}) == {("tests", "TestOne"): "one\nsub\n"}
