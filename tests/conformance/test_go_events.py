"""The reader of ``go test -json``: what each ending, and each missing ending, counts as."""

from __future__ import annotations

import json
from typing import Any

from palpo_conformance.go_events import GoOutcome, parse_go_stream
from palpo_conformance.model import Status

from tests.conformance.conformance_builders import small_suite

PACKAGE = "example.org/suite/tests/csapi"


def event(action: str, test: str | None = None, **more: Any) -> str:
    return json.dumps({"Action": action, "Package": PACKAGE, **({"Test": test} if test else {}), **more})


def read(*lines: str | bytes) -> GoOutcome:
    return parse_go_stream(lines, suite=small_suite())


def statuses(outcome: GoOutcome) -> dict[str, str]:
    return {result.test: result.status.value for result in outcome.results}


def test_each_ending_is_a_status_of_its_own() -> None:
    lines = [event("run", name) for name in ("A", "B", "C")]
    outcome = read(*lines, event("pass", "A", Elapsed=1.5), event("fail", "B"), event("skip", "C"))
    assert statuses(outcome) == {"A": "pass", "B": "fail", "C": "skip"}
    assert outcome.results[0].duration == 1.5
    assert {result.package for result in outcome.results} == {"tests/csapi"}


def test_names_with_slashes_suffixes_and_odd_characters_stay_as_go_prints_them() -> None:
    names = ["T/a//b_c", "T/same#01", "T/naïve_☃", "T/quote\"'<&>", "T/\\x00\u2028"]
    lines = [line for name in names for line in (event("run", name), event("pass", name))]
    assert sorted(statuses(read(*lines))) == sorted(names)


def test_a_test_without_an_end_failed_and_one_that_never_started_is_absent() -> None:
    outcome = read(
        event("run", "TestLogin"),
        event("run", "TestLogin/good"),
        event("pass", "TestLogin/good"),
        event("run", "TestLogin/waits"),
        event("pause", "TestLogin/waits"),
        event("output", "TestLogin", Output="panic: test timed out after 10m\n"),
        event("fail"),
    )
    assert statuses(outcome) == {"TestLogin": "fail", "TestLogin/good": "pass", "TestLogin/waits": "fail"}
    assert outcome.packages[0].status is Status.FAIL
    assert "panic: test timed out after 10m" in outcome.packages[0].tail


def test_a_stream_that_stops_is_a_failed_package() -> None:
    outcome = read(event("run", "A"), '{"Action":"pass","Pack')
    assert statuses(outcome) == {"A": "fail"}
    assert outcome.packages[0].status is Status.FAIL
    assert outcome.noise == ('{"Action":"pass","Pack',)


def test_a_line_nested_without_end_is_no_event() -> None:
    deep = '{"Action":' + "[" * 200_000
    assert read(deep, event("run", "A"), event("pass", "A")).noise == (deep,)


def test_a_package_without_failures_passes() -> None:
    outcome = read(event("start"), event("run", "A"), event("pass", "A"), event("pass"))
    assert outcome.packages[0].status is Status.PASS


def test_a_second_try_in_the_same_stream_replaces_the_first() -> None:
    outcome = read(event("run", "A"), event("fail", "A"), event("run", "A"), event("pass", "A"))
    assert statuses(outcome) == {"A": "pass"}


def test_spans_are_unix_times() -> None:
    (result,) = read(
        event("run", "A", Time="2024-01-01T00:00:00.123456789Z"),
        event("pass", "A", Time="2024-01-01T01:00:01+01:00"),
    ).results
    assert result.started is not None
    assert abs(result.started - 1704067200.123456) < 1e-5
    assert result.ended == 1704067201.0


def test_lines_that_are_no_events_do_no_harm() -> None:
    junk: list[str | bytes] = [
        "go: downloading example.org/x v1.0.0",
        "[]",
        "{}",
        '{"Action":"pass","Package":7,"Test":"A"}',
        b'{"Action":"pass","Package":"\xff\xfe","Test":"B"}',
        event("bench", "C"),
        event("run", "D", Time="yesterday"),
        "",
    ]
    outcome = read(*junk)
    assert {"B", "D"} == set(statuses(outcome))
    assert "go: downloading example.org/x v1.0.0" in outcome.noise
