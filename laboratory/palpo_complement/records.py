"""What the servers wrote during a run: their logs, access records and violations, by test."""

from __future__ import annotations

import json
import shutil
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from palpo_conformance.files import log_path
from palpo_conformance.model import TestResult
from palpo_conformance.violations import read_records

SERVERS = "servers"
ACCESS = "access.jsonl"
VIOLATIONS = "violations.jsonl"
ASKED = "asked.jsonl"
RECORDS = (ACCESS, VIOLATIONS, ASKED)
IN_IMAGE = Path("/complement/records")
"""Where an image keeps what its gate records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One container of a run. `test` is the top-level test that it served, "" for a blueprint's."""

    id: str
    package: str
    name: str
    test: str


def read_post_log(path: Path) -> dict[str, str]:
    """The top-level test of each container, as Complement told the post-test script."""
    if not path.exists():
        return {}
    rows = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
    return {row[0]: row[1].split("/", 1)[0] for row in rows if len(row) == 3}


class Timeline:
    """Which top-level test of a package ran at a time. Complement runs them one after the other."""

    def __init__(self, results: Iterable[TestResult]) -> None:
        self._spans: defaultdict[str, list[tuple[float, float, str]]] = defaultdict(list)
        for result in results:
            if "/" not in result.test and result.started is not None and result.ended is not None:
                self._spans[result.package].append((result.started, result.ended, result.test))
        for spans in self._spans.values():
            spans.sort()

    def began(self, package: str, test: str) -> float:
        """When a test started; minus infinity for one that is not known."""
        starts = (start for start, _, name in self._spans.get(package, []) if name == test)
        return min(starts, default=float("-inf"))

    def at(self, package: str, moment: float) -> str:
        """The test's name, or "" between tests."""
        spans = self._spans.get(package, [])
        place = bisect_right(spans, (moment, float("inf"), "")) - 1
        if place < 0:
            return ""
        start, end, test = spans[place]
        return test if start <= moment <= end else ""


def merge(
    target: Path, output: Path, servers: Iterable[Server], timeline: Timeline
) -> dict[str, list[dict[str, Any]]]:
    """Gather all servers' records, a file of each kind, with the test named; gives each package's answers."""
    calls: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    servers = list(servers)
    for kind in RECORDS:
        with (target / kind).open("w", encoding="utf-8") as file:
            for server in servers:
                for record in _records(output, server, kind, timeline):
                    file.write(json.dumps(record) + "\n")
                    if kind == ACCESS:
                        calls[server.package].append(record)
    return dict(calls)


def _records(output: Path, server: Server, kind: str, timeline: Timeline) -> Iterator[dict[str, Any]]:
    path = output / SERVERS / f"{server.id}.{kind}"
    if not path.exists():
        return
    for record in read_records([path]):
        moment = record["time"]
        # In Docker the file is part of the image's commit, so that a container begins with its blueprint's.
        if server.test and moment < timeline.began(server.package, server.test):
            continue
        test = server.test or timeline.at(server.package, moment)
        yield {**record, "package": server.package, "test": test, "server": server.name}


def keep_logs(
    target: Path,
    output: Path,
    servers: Iterable[Server],
    failed: Iterable[tuple[str, str]],
    outputs: Mapping[tuple[str, str], str],
    *,
    everything: bool,
) -> None:
    """Write a log for each failed top-level test: Go's output, then each of its servers' logs.

    The logs go below `target`, the servers' own files are below `output`. Unless `everything` is kept, those
    are removed afterwards.
    """
    by_test: defaultdict[tuple[str, str], list[Server]] = defaultdict(list)
    for server in servers:
        by_test[(server.package, server.test)].append(server)
    shutil.rmtree(target / "logs", ignore_errors=True)
    for key in sorted(set(failed)):
        path = target / log_path(*key)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", errors="replace") as log:
            said = outputs.get(key, "")
            log.write(said)
            for server in by_test.get(key, ()):
                if f"{server.id} : Server logs:" in said:
                    continue
                log.write(f"\n======== {server.name} {server.id[:12]} ========\n")
                source = output / SERVERS / f"{server.id}.log"
                log.write(source.read_text(errors="replace") if source.exists() else "(no log)\n")
    if not everything:
        for server in (server for group in by_test.values() for server in group):
            for kind in ("log", *RECORDS):
                (output / SERVERS / f"{server.id}.{kind}").unlink(missing_ok=True)


def test_outputs(raw: Mapping[Path, str]) -> dict[tuple[str, str], str]:
    """Go's output of each top-level test with its subtests', from the packages' files of events."""
    texts: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for path, package in raw.items():
        for event in read_records([path]):
            if event.get("Action") == "output" and event.get("Test"):
                top = str(event["Test"]).split("/", 1)[0]
                texts[(package, top)].append(str(event.get("Output", "")))
    return {key: "".join(parts) for key, parts in texts.items()}
