"""Palpo beside Synapse: ``python -m bench.side_by_side``; ``docs/benchmarks.md`` tells more."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from bench.side_by_side.http import LoadError, ceiling
from bench.side_by_side.postgres import Postgres
from bench.side_by_side.profile import profiling, program
from bench.side_by_side.report import Outcome, Outcomes, as_json, shortfalls, table
from bench.side_by_side.rows import ROWS, Row
from bench.side_by_side.servers import ROOT, SERVERS, Palpo, Server
from bench.side_by_side.world import World


def main() -> int:
    """Set up, measure, print; 1 where ``--require`` is not met."""
    options = _options()
    Palpo.engine, Palpo.source = options.engine, options.source.resolve()
    if options.profile:
        program()
        options.profile.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="palpo-bench-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user.
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(options, folder))
    finally:
        if options.keep:
            print(f"bench: logs and data: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench.side_by_side", description=__doc__)
    parser.add_argument("--servers", type=_choice(list(SERVERS)), default=list(SERVERS), metavar="NAME,…")
    parser.add_argument("--rows", type=_choice(names), default=names, metavar="NAME,…", help=", ".join(names))
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a row is measured in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=("hypercorn", "uvicorn"), default="hypercorn", help="of Palpo")
    parser.add_argument("--source", type=Path, default=ROOT, metavar="FOLDER", help="a checkout of Palpo")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="profile each row with py-spy")
    parser.add_argument("--require", action="store_true", help="fail where Palpo misses a bar")
    parser.add_argument("--keep", action="store_true", help="keep the servers' logs and data")
    return parser.parse_args()


def _choice(known: list[str]) -> Callable[[str], list[str]]:
    def convert(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return [name for name in known if name in chosen]

    return convert


async def _run(options: argparse.Namespace, folder: Path) -> int:
    _say(f"client's ceiling: {await ceiling():,.0f} requests/s of a server that does nothing")
    rows = [row for row in ROWS if row.name in options.rows]
    async with AsyncExitStack() as stack:
        postgres = None
        if options.database == "postgresql":
            postgres = Postgres(folder / "postgresql")
            stack.callback(postgres.stop)
            await postgres.start()
        worlds: dict[str, World] = {}
        versions = []
        for name in options.servers:
            url = await postgres.create_database(name) if postgres else ""
            server = SERVERS[name](folder / name, url)
            stack.callback(server.stop)
            worlds[name] = await _world(server, postgres)
            versions.append(server.version())
        versions.append(await postgres.version() if postgres else "SQLite")
        outcomes = await _measure(options, rows, worlds)
    print(f"\n{'; '.join(versions)}; {_machine()}; {options.rounds} rounds of {options.seconds:g} s\n")
    if options.profile:
        print("Profiled: the profiler slows the servers down, and these figures compare nothing.\n")
    print(table(rows, options.servers, outcomes))
    for row in rows:
        for name, outcome in outcomes[row.name].items():
            if outcome.error:
                print(f"\n{row.name} on {name} does not count: {outcome.error}")
    if options.json:
        content = {
            "versions": versions,
            "machine": _machine(),
            "rows": as_json(rows, options.servers, outcomes),
        }
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    missed = shortfalls(rows, outcomes) if options.require else []
    for reason in missed:
        print(f"below the bar: {reason}")
    return 1 if missed else 0


async def _world(server: Server, postgres: Postgres | None) -> World:
    await server.start()
    assert server.daemon is not None
    return World(server.port, server.daemon, postgres.daemon if postgres else None)


async def _measure(options: argparse.Namespace, rows: list[Row], worlds: dict[str, World]) -> Outcomes:
    """Row after row, and in each the servers in turns, who goes first changing each round."""
    outcomes: Outcomes = {row.name: {name: Outcome() for name in worlds} for row in rows}
    for row in rows:
        for number in range(options.rounds):
            for name in list(worlds) if number % 2 == 0 else reversed(list(worlds)):
                outcome = outcomes[row.name][name]
                if outcome.error:
                    continue
                try:
                    async with asyncio.timeout(300 + 2 * options.seconds):
                        await _round(options, row, name, worlds[name], outcome)
                except (LoadError, OSError, TimeoutError, KeyError, ValueError) as error:
                    outcome.error = f"{type(error).__name__}: {error}"
                    _say(f"{row.name} {name}: {outcome.error}")
    return outcomes


async def _round(options: argparse.Namespace, row: Row, name: str, world: World, outcome: Outcome) -> None:
    if row.name not in world.prepared:
        world.prepared[row.name] = await row.prepare(world)
        # The first requests fill caches, and are not counted.
        await row.measure(world, world.prepared[row.name], min(1.0, options.seconds))
    await world.settle()
    if options.profile and not outcome.samples:
        world.profiler = profiling(world.server.pid, options.profile / f"{name}-{row.name}.txt")
    sample = await row.measure(world, world.prepared[row.name], options.seconds)
    outcome.samples.append(sample)
    figures = ", ".join(f"{line} {value:,.2f} {row.unit}" for line, value in row.figures(sample).items())
    size = f", {sample.received / sample.count / 1000:,.0f} kB each" if sample.received else ""
    _say(f"{name}: {figures} ({sample.count} requests, {sample.server_cpu:.2f} s CPU{size})")


def _machine() -> str:
    return f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
