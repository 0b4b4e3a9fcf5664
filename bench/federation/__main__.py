"""Federation, Palpo beside Synapse: ``python -m bench.federation``; ``docs/benchmarks.md`` tells more."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvloop

from bench.federation import parts, servers
from bench.federation.bench import QUICK, Bench, Sizes
from bench.federation.report import Outcome, Outcomes, as_json, columns, kinds, missed, table
from bench.federation.rows import ROWS, Row
from bench.federation.servers import KINDS, Synapse
from bench.side_by_side.http import LoadError
from bench.side_by_side.postgres import Postgres

ERRORS = (LoadError, OSError, RuntimeError, TimeoutError, KeyError, ValueError)


def main() -> int:
    """Measure, print; 1 where ``--require`` is not met."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # What was started is ended then too.
    folder = Path(tempfile.mkdtemp(prefix="palpo-federation-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user.
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(options, folder))
    finally:
        if options.keep:
            _say(f"logs and data: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _options() -> argparse.Namespace:
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(prog="python -m bench.federation", description=__doc__)
    parser.add_argument("--servers", type=_choice(list(KINDS)), default=list(KINDS), metavar="NAME,…")
    parser.add_argument("--rows", type=_choice(names), default=names, metavar="NAME,…", help=", ".join(names))
    parser.add_argument(
        "--parts",
        type=_choice([part.name for part in parts.PARTS]),
        default=[],
        metavar="NAME,…",
        help="benchmarks of Palpo alone to run too: "
        + ", ".join(dict.fromkeys(part.name for part in parts.there())),
    )
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, help="how long messages are sent")
    parser.add_argument("--members", type=int, help="of the room of join_1000")
    parser.add_argument("--many-members", type=int, help="of the room of join_60000 and partial_60000")
    parser.add_argument("--conflicted", type=int, help="events in conflict")
    parser.add_argument("--limit", dest="limit_s", type=float, help="how many seconds one thing may take")
    parser.add_argument("--quick", action="store_true", help="little of everything: figures mean nothing")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round's figures, a row a line")
    parser.add_argument("--require", action="store_true", help="fail where Palpo misses a bar")
    parser.add_argument("--keep", action="store_true", help="keep the servers' logs and data")
    return parser.parse_args()


def _choice(known: list[str]) -> Callable[[str], list[str]]:
    def convert(text: str) -> list[str]:
        chosen = text.split(",") if text else []
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return [name for name in known if name in chosen]

    return convert


async def _run(options: argparse.Namespace, folder: Path) -> int:
    if Synapse.name in options.servers:
        await servers.install()
    postgres = None
    try:
        if options.database == "postgresql":
            postgres = Postgres(folder / "postgresql")
            await postgres.start()
        bench = Bench(folder, _sizes(options), postgres, keep=options.keep)
        rows = [row for row in ROWS if row.name in options.rows]
        outcomes = {row.name: await _measure(options, bench, row) for row in rows}
    finally:
        if postgres is not None:
            postgres.stop()
    found = [await _part(part, options.limit_s) for part in parts.there() if part.name in options.parts]
    return _report(options, rows, outcomes, [figure for figures in found for figure in figures])


def _sizes(options: argparse.Namespace) -> Sizes:
    names = ("seconds", "members", "many_members", "conflicted", "limit_s")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    return replace(QUICK if options.quick else Sizes(), **given)


async def _measure(options: argparse.Namespace, bench: Bench, row: Row) -> dict[str, Outcome]:
    """On each server, or pair, in turns; who goes first changes each round."""
    outcomes = {name: Outcome() for name in columns(options.servers, pairs=row.pairs)}
    for number in range(options.rounds):
        for name in list(outcomes) if number % 2 == 0 else reversed(outcomes):
            outcome = outcomes[name]
            if not outcome.error:
                await _round(bench, row, name, outcome)
                if options.json:
                    with options.json.open("a") as file:
                        file.write(json.dumps(as_json(row, name, outcome)) + "\n")
    return outcomes


async def _round(bench: Bench, row: Row, name: str, outcome: Outcome) -> None:
    try:
        figures = await row.measure(bench, *(kinds(name) if row.pairs else [name]))
    except ERRORS as error:
        outcome.error = f"{type(error).__name__}: {error}"
        _say(f"{row.name} {name}: {outcome.error}")
        return
    outcome.rounds.append(figures)
    shown = ", ".join(f"{key} {value:,.2f}" for key, value in figures.values.items())
    _say(f"{row.name} {name}: {shown}{', not done in time' * figures.unfinished}")


async def _part(part: parts.Part, limit_s: float | None) -> list[parts.Found]:
    _say(f"bench.{part.name}")
    return await parts.run(part, limit_s or Sizes().limit_s)


def _report(
    options: argparse.Namespace, rows: list[Row], outcomes: Outcomes, found: list[parts.Found]
) -> int:
    print(f"\n{options.database}; {os.cpu_count()} cores, Python {platform.python_version()}\n")
    if options.quick:
        print("Little of everything: these figures compare nothing.\n")
    if rows:
        print(table(rows, outcomes))
    for figure in found:
        print(f"{'kept' if figure.kept else 'missed'}: {figure.part}: {figure.said}")
    short = missed(rows, outcomes) + [f"{figure.part}: {figure.said}" for figure in found if not figure.kept]
    for reason in short:
        print(f"below the bar: {reason}")
    return 1 if short and options.require else 0


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
