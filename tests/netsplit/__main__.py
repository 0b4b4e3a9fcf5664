"""``python -m tests.netsplit``: a long run; exit status 1 if the servers differ in the end."""

# ruff: noqa: T201 - a command
from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from tests.netsplit.run import Plan, Result, run


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.netsplit", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rooms", type=int, default=6)
    parser.add_argument("--users", type=int, default=4, help="on each server")
    parser.add_argument("--kill-seconds", type=float, default=0, help="between two kills; 0: none")
    parser.add_argument("--keep", type=Path, help="a folder that is to be there afterwards, with the logs")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    plan = Plan(
        seconds=options.minutes * 60,
        seed=options.seed,
        rooms=options.rooms,
        users=options.users,
        kill_s=options.kill_seconds,
    )
    with tempfile.TemporaryDirectory(prefix="palpo-netsplit-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        result = uvloop.run(
            run(folder, plan, lambda text: print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True))
        )
    report(result)
    return 1 if result.faults else 0


def report(result: Result) -> None:
    """Print what came of it."""
    print(f"{result.events} events acknowledged; answers to clients: {dict(result.answers)}")
    print(f"between servers: {dict(result.weather)}")
    print(f"{result.kills} kills; {result.told} events told in syncs, {result.limited} rooms with more")
    print(f"the same everywhere {result.settled_s:.0f} s after the weather has cleared")
    print(f"soft-failed: {dict(result.soft_failed)}")
    for fault in result.faults:
        print(f"FAULT {fault}")
    print("all the same" if not result.faults else f"{len(result.faults)} faults")


if __name__ == "__main__":
    sys.exit(main())
