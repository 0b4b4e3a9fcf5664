"""Errors of the log that are sent to a Sentry."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from palpo.cli import error_reports
from palpo.cli.error_reports import ErrorReports
from palpo.config.errors import ConfigError
from palpo.config.loader import convert
from palpo.config.sections.logs import SentryConfig

pytestmark = pytest.mark.one_database


class Receiver:
    """What a Sentry is to whoever reports to it."""

    def __init__(self) -> None:
        received: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                received.append(json.loads(body.splitlines()[2]))
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: Any) -> None:
                pass

        self.received = received
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.dsn = f"http://key@127.0.0.1:{self.server.server_port}/1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.close()


def failure(text: str) -> ValueError:
    secret = "a value that is nobody's business"
    try:
        raise ValueError(text + secret[:0])
    except ValueError as error:
        return error


def report(reports: ErrorReports, **event: Any) -> None:
    line = {"event": "unhandled_exception", "level": "error", **event}
    assert reports(None, "error", dict(line)) == line


def test_what_is_sent(receiver: Receiver) -> None:
    config = SentryConfig(dsn=receiver.dsn, environment="production")
    reports = ErrorReports(config, "example.org", lambda: 0.0)
    error = failure("no @alice:example.org in !room:example.org, $AbC_-1")
    report(reports, exc_info=error, user_id="@alice:example.org", address="192.0.2.1")
    report(reports, exc_info=(type(error), error, error.__traceback__), level="warning")
    report(reports)
    reports.close()

    (sent,) = receiver.received
    (raised,) = sent["exception"]["values"]
    assert (raised["type"], raised["value"]) == ("ValueError", "no (ID) in (ID), (ID)")
    assert raised["stacktrace"]["frames"][-1]["function"] == "failure"
    assert sent["tags"] == {"event": "unhandled_exception"}
    assert (sent["server_name"], sent["environment"]) == ("example.org", "production")
    assert sent["release"].startswith("palpo@")
    text = json.dumps(sent)
    for personal in ("alice", "192.0.2.1", "nobody's business\"", "vars"):
        assert personal not in text, personal


def test_so_many_a_minute(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(error_reports, "A_MINUTE", 2)
    now = [0.0]
    reports = ErrorReports(SentryConfig(dsn=receiver.dsn), "example.org", lambda: now[0])
    for number in range(4):
        report(reports, exc_info=failure(f"early {number}"))
    now[0] = 61.0
    report(reports, exc_info=failure("late"))
    reports.close()
    values = [sent["exception"]["values"][0]["value"] for sent in receiver.received]
    assert values == ["early 0", "early 1", "late"]


def test_a_log_is_reported(receiver: Receiver, tmp_path: Path) -> None:
    """In a process of its own, set up as a server's is."""
    script = f"""
import structlog
from palpo.cli.serving import _reported
from palpo.cli.logs import start_log_writer
from palpo.config.loader import convert

config = convert({{"server_name": "example.org", "data": "data", "sentry": {{"dsn": "{receiver.dsn}"}}}})
with _reported(config) as report:
    start_log_writer(config.log, report=report)
    try:
        1 / 0
    except ZeroDivisionError:
        structlog.get_logger("palpo").exception("it_failed")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert '"event":"it_failed"' in done.stderr
    assert "ZeroDivisionError" in done.stderr
    (sent,) = receiver.received
    assert sent["tags"] == {"event": "it_failed"}
    assert sent["exception"]["values"][0]["type"] == "ZeroDivisionError"


def test_nothing_is_loaded_without_it() -> None:
    script = "import sys, palpo.cli.main, palpo.cli.serving; print('sentry_sdk' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout == "False\n", done.stderr


def test_a_dsn_that_is_none() -> None:
    with pytest.raises(ConfigError, match=r"sentry\.dsn"):
        convert({"server_name": "example.org", "data": "data", "sentry": {"dsn": "sentry.example.org"}})
