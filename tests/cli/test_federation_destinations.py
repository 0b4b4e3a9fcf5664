"""What is said of servers that cannot be told."""

from __future__ import annotations

from palpo.cli.commands.federation import line_of
from palpo.core.identifiers import ServerName
from palpo.storage.destinations import Destination

NOW = 1_700_000_000_000


def destination(failures: int, error: str = "") -> Destination:
    return Destination(
        server_name=ServerName("a.example"),
        sent_upto=1,
        failures=failures,
        failing_since_ts=NOW - 60_000,
        retry_ts=NOW + 5000,
        error=error,
    )


def test_lines() -> None:
    assert line_of(destination(0), NOW) == "a.example  catches up"
    line = line_of(destination(3, "no \x1b[2Jconnection"), NOW)
    assert (
        line == "a.example  away since 2023-11-14T22:12+00:00, tried 3 times, again in 5 s: no ?[2Jconnection"
    )
