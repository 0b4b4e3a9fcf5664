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
import time
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop

from bench.side_by_side import large_world
from bench.side_by_side.http import LoadError, ceiling
from bench.side_by_side.large_rows import LARGE_ROWS
from bench.side_by_side.large_world import LargeWorld
from bench.side_by_side.postgres import Postgres
from bench.side_by_side.profile import profiling, program
from bench.side_by_side.report import Outcome, Outcomes, as_json, reached, setbacks, shortfalls, table
from bench.side_by_side.rows import ROWS, Row
from bench.side_by_side.servers import BEFORE, ENGINES, ROOT, SERVERS, Palpo, Server, Synapse, columns
from bench.side_by_side.world import World

ALL_ROWS = (*ROWS, *LARGE_ROWS)
SETS = {
    "quick": ["whoami", "send_16", "wakeup", "initial_sync"],
    "all": [row.name for row in ALL_ROWS],
}


def main() -> int:
    """Set up, measure, print; 1 where ``--require`` is not met."""
    options = _options()
    Palpo.source = options.source.resolve()
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
    names = SETS["all"]
    parser = argparse.ArgumentParser(prog="python -m bench.side_by_side", description=__doc__)
    parser.add_argument("--servers", type=_choice(list(SERVERS)), default=list(SERVERS), metavar="NAME,…")
    parser.add_argument(
        "--rows",
        type=lambda text: SETS.get(text) or _choice(names)(text),
        default=names,
        metavar="NAME,…",
        help=f"all, quick ({', '.join(SETS['quick'])}), or some of {', '.join(names)}",
    )
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long a row is measured in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=("both", *ENGINES), default="both", help="Palpo's HTTP engine")
    parser.add_argument("--source", type=Path, default=ROOT, metavar="FOLDER", help="a checkout of Palpo")
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout, to compare it with")
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
    rows = [row for row in ALL_ROWS if row.name in options.rows]
    kinds = columns(options.servers, options.engine, options.before and options.before.resolve())
    outcomes: Outcomes = {}
    async with AsyncExitStack() as stack:
        postgres = None
        if options.database == "postgresql":
            # Large worlds are kept with the cluster that they are in.
            home = large_world.WORLDS if any(row.large for row in rows) else folder
            postgres = Postgres(home / "postgresql")
            stack.callback(postgres.stop)
            await postgres.start()
        for large in (False, True):
            if chosen := [row for row in rows if row.large is large]:
                outcomes |= await _part(options, folder, chosen, kinds, postgres)
        versions = _versions(options, folder)
        versions.append(await postgres.version() if postgres else "SQLite")
    return _report(options, rows, list(kinds), outcomes, versions)


def _versions(options: argparse.Namespace, folder: Path) -> list[str]:
    return [SERVERS[name](folder / name, "").version() for name in options.servers]


async def _part(
    options: argparse.Namespace,
    folder: Path,
    rows: list[Row],
    kinds: dict[str, type[Server]],
    postgres: Postgres | None,
) -> Outcomes:
    """Those rows that need the same worlds, on servers that run for no longer."""
    async with AsyncExitStack() as stack:
        worlds: dict[str, World] = {}
        for name in {name: None for row in rows for name in _measured(row, kinds)}:
            start = time.monotonic()
            where = folder / f"{'large-' * rows[0].large}{name.translate(_PLAIN)}"
            server, large = await _server(kinds[name], where, postgres, large=rows[0].large)
            stack.callback(server.stop)
            await server.start()
            assert server.daemon is not None
            worlds[name] = World(
                server.port, server.daemon, postgres.daemon if postgres else None, large=large
            )
            _say(f"{name}: set up in {time.monotonic() - start:.1f} s")
        return await _measure(options, rows, worlds)


_PLAIN = str.maketrans({" ": "-", "(": None, ")": None})


async def _server(
    kind: type[Server], folder: Path, postgres: Postgres | None, *, large: bool
) -> tuple[Server, LargeWorld | None]:
    if large:
        return await large_world.prepared(kind, folder, postgres)
    url = await postgres.create_database(folder.name) if postgres else ""
    return kind(folder, url), None


def _measured(row: Row, names: Iterable[str]) -> list[str]:
    """Where a row is measured: on each Palpo with one engine, unless the engine matters."""
    chosen = list(names)
    spare = [
        name
        for checkout in (Palpo.name, BEFORE)
        for name in [name for name in chosen if name.startswith(checkout)][1:]
    ]
    return chosen if row.engines else [name for name in chosen if name not in spare]


def _report(
    options: argparse.Namespace, rows: list[Row], names: list[str], outcomes: Outcomes, versions: list[str]
) -> int:
    print(f"\n{'; '.join(versions)}; {_machine()}; {options.rounds} rounds of {options.seconds:g} s\n")
    if options.profile:
        print("Profiled: the profiler slows the servers down, and these figures compare nothing.\n")
    print(table(rows, names, outcomes))
    for row in rows:
        for name, outcome in outcomes[row.name].items():
            if outcome.error:
                print(f"\n{row.name} on {name} does not count: {outcome.error}")
    if options.json:
        content = {"versions": versions, "machine": _machine(), "rows": as_json(rows, outcomes)}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    if not options.require:
        return 0
    missed = []
    if Synapse.name in options.servers:
        print("".join(f"\nreached: {what}" for what in reached(rows, outcomes)))
        missed += shortfalls(rows, outcomes)
    if options.before:
        missed += setbacks(rows, outcomes)
    for reason in missed:
        print(f"below the bar: {reason}")
    return 1 if missed else 0


async def _measure(options: argparse.Namespace, rows: list[Row], worlds: dict[str, World]) -> Outcomes:
    """Row after row, and in each the servers in turns, who goes first changing each round."""
    outcomes: Outcomes = {row.name: {name: Outcome() for name in _measured(row, worlds)} for row in rows}
    for row in rows:
        for number in range(options.rounds):
            names = list(outcomes[row.name])
            for name in names if number % 2 == 0 else reversed(names):
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
        world.profiler = profiling(
            world.server.pid, options.profile / f"{name.translate(_PLAIN)}-{row.name}.txt"
        )
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
