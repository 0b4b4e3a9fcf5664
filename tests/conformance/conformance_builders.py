"""What the tests of the laboratory build their runs from."""

from __future__ import annotations

from palpo_conformance.catalogue import Catalogue, parse_catalogue
from palpo_conformance.model import Run, RunHeader, Status, TestResult, build_run
from palpo_conformance.suite import Suite, parse_suite

SUITE_COMMIT = "c0ffee"


def small_suite() -> Suite:
    """Return a suite of two packages, seven rows, one of which skips itself."""
    return parse_suite(
        {
            "suite": "example/suite",
            "module": "example.org/suite",
            "commit": SUITE_COMMIT,
            "tests": [
                {
                    "package": "tests",
                    "test": "TestSync",
                    "file": "tests/a_test.go",
                    "line": 4,
                    "homeservers": 1,
                },
                {
                    "package": "tests/csapi",
                    "test": "TestLogin",
                    "file": "tests/csapi/login_test.go",
                    "line": 9,
                    "homeservers": 1,
                    "subtests": ["good_password", "wrong/password#01"],
                },
                {
                    "package": "tests/csapi",
                    "test": "TestSync",
                    "file": "tests/csapi/sync_test.go",
                    "line": 12,
                    "homeservers": 2,
                    "subtests": ["archived", "naïve_☃"],
                    "self_skips": ["archived"],
                },
            ],
        }
    )


def small_catalogue() -> Catalogue:
    """Return a catalogue for the small suite: three features, one of them without a test of its own."""
    return parse_catalogue(
        {
            "login": {
                "title": "Login",
                "operations": {"client-server": ["login", "getLoginFlows"]},
                "tests": {"tests/csapi": ["TestLogin"]},
            },
            "sync": {
                "title": "Sync",
                "operations": {"client-server": ["sync"]},
                "tests": {"tests": ["TestSync"], "tests/csapi": ["TestSync"]},
                "also": {"tests/csapi": ["TestLogin/good*"]},
            },
            "voip": {"title": "Voice over IP", "operations": {"client-server": ["getTurnServer"]}},
        }
    )


def header(*, packages: tuple[str, ...] = (), only: str | None = None) -> RunHeader:
    """Return a header; with packages or ``only`` it is a partial run's."""
    return RunHeader(
        suite_commit=SUITE_COMMIT,
        server_name="Example",
        server_commit="abc123",
        engine="process",
        database="sqlite",
        packages=packages,
        filter=only,
    )


ALL_PASS = {
    "tests:TestSync": "pass",
    "tests/csapi:TestLogin": "pass",
    "tests/csapi:TestLogin/good_password": "pass",
    "tests/csapi:TestLogin/wrong/password#01": "pass",
    "tests/csapi:TestSync": "pass",
    "tests/csapi:TestSync/archived": "skip",
    "tests/csapi:TestSync/naïve_☃": "pass",
}


def results(statuses: dict[str, str]) -> list[TestResult]:
    """Return a result for each ``package:test`` and its status."""
    return [
        TestResult(package=name.split(":", 1)[0], test=name.split(":", 1)[1], status=Status(status))
        for name, status in statuses.items()
    ]


def run_of(statuses: dict[str, str], *, head: RunHeader | None = None, finished: bool = True) -> Run:
    """Return a run of the small suite; what ``statuses`` does not name was not run."""
    return build_run(
        head or header(),
        results(statuses),
        finished=finished,
        suite=small_suite(),
        catalogue=small_catalogue(),
    )
