"""``python -m tests.fuzz``: a long run; exit status 1 if anything was found."""

# ruff: noqa: T201 - a command
from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop

from palpo.db.migrations.upgrade import upgrade
from tests.fuzz.driver import HELD_SECONDS, Result, driver

SHOWN = 40


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--database-url", default="", help="of an empty database; default: SQLite")
    parser.add_argument("--operation", action="append", default=[], help="this operation only; repeatable")
    parser.add_argument("--concurrency", type=int, default=4)
    parser.add_argument("--swelling", type=float, default=0.03, help="share of bodies that are large")
    parser.add_argument("--held-ms", type=float, default=HELD_SECONDS * 1000, help="how long is too long")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="palpo-fuzz-") as folder:
        result = uvloop.run(run(Path(folder), options))
    report(result)
    return 1 if result.findings else 0


async def run(folder: Path, options: argparse.Namespace) -> Result:
    """One run in a folder of its own."""
    overrides: dict[str, Any] = {}
    if options.database_url:
        await asyncio.to_thread(upgrade, options.database_url)
        overrides["database"] = {"url": options.database_url}
    async with driver(folder, options.seed, **overrides) as drive:
        drive.values.swelling, drive.held_seconds = options.swelling, options.held_ms / 1000
        return await drive.run(
            options.requests, operations=options.operation, concurrency=options.concurrency
        )


def report(result: Result) -> None:
    """Print what was found, each kind of finding once."""
    statuses: Counter[int] = Counter()
    for (_, status), number in result.statuses.items():
        statuses[status] += number
    print(f"{result.requests} requests; by status: {dict(sorted(statuses.items()))}")
    print(f"never answered with success: {', '.join(result.never_right())}")
    print(f"slowest: {result.slowest[0]:.2f} s {result.slowest[1][:300]}")
    print(f"event loop: at most {result.blocked[0]:.2f} s {result.blocked[1][:300]}")
    print(f"memory: {result.memory_kib[0]} KiB, at the end {result.memory_kib[1]} KiB")
    kinds: dict[str, list[str]] = {}
    for item in result.findings:
        operation = item.request.partition(":")[0]
        kinds.setdefault(f"{operation}: {item.problem}", []).append(item.request)
    for kind, requests in list(kinds.items())[:SHOWN]:
        print(f"\n{len(requests)}x {kind}\n   {requests[0]}")
    print(f"\n{len(result.findings)} findings of {len(kinds)} kinds")


if __name__ == "__main__":
    sys.exit(main())
