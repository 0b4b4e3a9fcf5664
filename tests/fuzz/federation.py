"""All that other servers may say, wrong in any way: ``python -m tests.fuzz.federation --count 100000``.

Three in five are events (``pdus``), one in five is an event or an EDU in a request (``transactions``), one in
five is an answer (``answers``). ``--slice`` says after how many of a kind a new server is begun.
"""

# ruff: noqa: T201 - a command
from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, NoReturn

import structlog
import uvloop

from tests.fuzz import answers, pdus, transactions

BESIDE: list[str] = []
"""Errors that were logged between one thing and the next."""


def _watch(logger: Any, level: str, entry: MutableMapping[str, Any]) -> NoReturn:
    if level in ("error", "critical", "exception") or "exc_info" in entry:
        BESIDE.append(f"{entry!r}"[:3000])
    raise structlog.DropEvent


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.federation", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--slice", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    structlog.configure(processors=[_watch])
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # The other servers' own troubles.
    print(f"seed {options.seed}", flush=True)
    findings: list[str] = []
    total = 0
    for share, kind in ((3, _events), (1, _transactions), (1, _answers)):
        left = options.count * share // 5
        while left > 0:
            total += kind(min(left, options.slice), options.seed + total, findings)
            left -= options.slice
    findings += BESIDE
    print(f"{total} in all, {len(findings)} findings, {time.process_time():.0f} s of CPU")
    for finding in findings[:20]:
        print(f"\n{finding}")
    return 1 if findings else 0


def _events(count: int, seed: int, findings: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="palpo-fuzz-") as folder:
        result = uvloop.run(pdus.fuzz(Path(folder), events=count, seed=seed))
    findings += result.findings
    return _told("events", result.sent, result.findings, result.verdicts, result.stored)


def _transactions(count: int, seed: int, findings: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="palpo-fuzz-") as folder:
        sent = uvloop.run(transactions.fuzz(Path(folder), count=count, seed=seed))
    findings += sent.findings
    return _told("of transactions", sent.count, sent.findings, sent.statuses, sent.verdicts, sent.stored)


def _answers(count: int, seed: int, findings: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="palpo-fuzz-") as folder:
        found = uvloop.run(answers.fuzz(Path(folder), answers=count, seed=seed))
    findings += found.findings
    return _told("answers", found.count, found.findings, found.statuses, found.stored)


def _told(what: str, count: int, findings: list[str], *counts: Counter[str] | Counter[int]) -> int:
    shown = "; ".join(", ".join(f"{key} {number}" for key, number in each.items()) for each in counts)
    print(f"{count} {what}: {shown}; {len(findings)} findings", flush=True)
    return count


if __name__ == "__main__":
    sys.exit(main())
