"""The dashboard's data and its page."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from palpo_conformance.compare import OtherResults
from palpo_conformance.model import Run, Status
from palpo_conformance.report import ReportInput, build_report, render_page, write_report
from palpo_conformance.violations import group_server_errors, group_violations

from tests.conformance.conformance_builders import ALL_PASS, header, run_of, small_catalogue, small_suite

KEPT = frozenset({"logs/tests.csapi/TestLogin.log", "logs/tests/TestSync.log"})
VOID = {"meta", "link", "input", "br"}


class Page(HTMLParser):
    """Checks that elements nest, and gathers their attributes and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, tag: str, name: str) -> list[str]:
        return [attrs[name] or "" for kind, attrs in self.elements if kind == tag and name in attrs]


def report_of(run: Run, **more: Any) -> dict[str, Any]:
    source = ReportInput(run=run, kept_logs=KEPT, **more)
    return build_report(source, suite=small_suite(), catalogue=small_catalogue())


def test_the_data_has_features_packages_tests_and_overlays() -> None:
    other = OtherResults(name="other", statuses={("tests", "TestSync"): Status.PASS})
    run = run_of({**ALL_PASS, "tests/csapi:TestLogin/good_password": "fail"})
    calls = ("client-server/login", "client-server/unknown")
    run = replace(run, results=(replace(run.results[0], operations=calls), *run.results[1:]))
    report = report_of(run, others=[other], logs="../")
    login, sync = report["features"]
    assert (login["title"], login["passed"], login["total"]) == ("Login", 2, 3)
    assert sync["others"][0]["passed"] == 1
    assert login["operations"] == {"called": 1, "total": 2}
    assert report["operations"] == {"called": 1, "total": 4}
    assert report["uncovered"] == [{"name": "voip", "title": "Voice over IP"}]
    assert [(p["name"], p["passed"], p["total"]) for p in report["packages"]] == [
        ("tests", 1, 1),
        ("tests/csapi", 4, 5),
    ]
    failed = next(test for test in report["tests"] if test["status"] == "fail")
    assert failed["log"] == "../logs/tests.csapi/TestLogin.log"
    assert failed["source"] == "tests/csapi/login_test.go:9"
    assert (
        next(t["log"] for t in report["tests"] if t["package"] == "tests/csapi" and t["test"] == "TestSync")
        is None
    )
    assert failed["others"] == ["not_run"]
    assert json.loads(json.dumps(report)) == report


def test_the_page_is_whole_and_loads_nothing() -> None:
    page = Page(render_page(report_of(run_of({**ALL_PASS, "tests:TestSync": "fail"}), logs="../")))
    assert page.values("script", "src") == []
    assert page.values("img", "src") == []
    assert set(page.values("link", "href")) == {"data:,"}
    assert "../logs/tests/TestSync.log" in page.values("a", "href")
    assert page.values("html", "lang") == ["en"]
    targets = {link[1:] for link in page.values("a", "href") if link.startswith("#")}
    ids = {attrs["id"] for _, attrs in page.elements if attrs.get("id")}
    assert targets <= ids
    bars = [attrs for tag, attrs in page.elements if attrs.get("role") == "img"]
    assert all(attrs.get("aria-label") for attrs in bars)


def test_what_a_server_says_of_itself_is_text_and_nothing_else() -> None:
    evil = "</script><script>alert(1)</script>"
    run = run_of({**ALL_PASS, f"tests:Test{evil}": "fail"}, head=replace(header(), server_name=evil))
    record = {"operation": evil, "path": evil, "status": 500, "pointer": evil, "message": evil}
    text = render_page(
        report_of(run, violations=group_violations([record]), server_errors=group_server_errors([record]))
    )
    assert "<script>alert" not in text
    Page(text)


def test_what_others_answered_is_not_counted_as_the_servers_own() -> None:
    record = {"operation": "server-server/getVersion", "path": "/", "status": 200, "pointer": "/odd"}
    found = group_violations([record, {**record, "of": "request"}, {**record, "of": "received"}])
    report = report_of(run_of(ALL_PASS), violations=found)
    assert (len(report["violations"]), len(report["received"])) == (2, 1)
    page = render_page(report)
    assert "Schema violations (2)" in page
    assert "In what other servers answered (1)" in page


def test_the_page_says_what_does_not_count() -> None:
    cut = render_page(report_of(run_of(ALL_PASS, finished=False)))
    assert "does not count" in cut
    part = render_page(report_of(run_of(ALL_PASS, head=header(packages=("tests",), only="TestSync"))))
    assert "A part of the suite only" in part
    whole = render_page(report_of(run_of(ALL_PASS)))
    assert "A part of the suite only" not in whole
    assert "no footer" not in whole


def test_flaky_tests_are_shown_with_their_cause() -> None:
    report = report_of(run_of(ALL_PASS), expected_flaky={("tests", "TestSync"): "a race in the test"})
    assert "a race in the test" in render_page(report)


def test_page_and_data_are_written_side_by_side(tmp_path: Path) -> None:
    report = report_of(run_of(ALL_PASS))
    page = write_report(tmp_path / "report", report)
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert json.loads((page.parent / "data.json").read_text(encoding="utf-8")) == report
