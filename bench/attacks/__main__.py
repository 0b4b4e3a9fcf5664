"""What others notice of attacks: ``python -m bench.attacks``; ``docs/benchmarks.md`` tells more."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop

from bench.attacks.attacker import Attack, close_all, register
from bench.attacks.attacks import ATTACKS
from bench.attacks.probe import Latencies, Probe, Target
from bench.side_by_side.postgres import Postgres
from bench.side_by_side.processes import Daemon, free_port

MAX_P99_S, MAX_RSS_MB = 0.25, 600
MIB = 1024 * 1024


@dataclass(slots=True)
class Figures:
    """What one stretch of attacks did."""

    name: str
    latencies: Latencies
    peak_mb: float
    """Of the server process."""
    family_mb: float
    """Of the server and the processes that it started."""
    disk_mb: float
    problems: list[str] = field(default_factory=list)

    def line(self) -> str:
        cells = [f"{self.name:24}"]
        for name in ("versions", "sync", "send"):
            found = sorted(self.latencies[name]) or [float("nan")]
            times = " ".join(f"{1000 * _at(found, part):6.0f}" for part in (0.5, 0.99, 1.0))
            cells.append(f"{name} {times}")
        cells.append(f"RSS {self.peak_mb:5.0f} ({self.family_mb:5.0f})  disk +{self.disk_mb:6.0f}")
        return "  ".join(cells)


def _at(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.attacks", description=__doc__)
    parser.add_argument("--attacks", default="all", help=f"all, or some of {', '.join(ATTACKS)}")
    parser.add_argument("--seconds", type=float, default=20, help="how long each attack lasts")
    parser.add_argument("--at-once", type=int, default=10, help="attackers")
    parser.add_argument("--together", type=float, default=60, help="seconds of all attacks together, at last")
    parser.add_argument("--engine", choices=("uvicorn", "hypercorn"), default="uvicorn")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--require", action="store_true", help="fail where a bar is missed")
    parser.add_argument("--keep", action="store_true", help="keep the server's log and data")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="palpo-attacks-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user.
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_run(options, folder))
    finally:
        if options.keep:
            print(f"attacks: log and data: {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(options: argparse.Namespace, folder: Path) -> int:
    names = list(ATTACKS) if options.attacks == "all" else options.attacks.split(",")
    async with AsyncExitStack() as stack:
        url = ""
        if options.database == "postgresql":
            postgres = Postgres(folder / "postgresql")
            stack.callback(postgres.stop)
            await postgres.start()
            url = await postgres.create_database("palpo")
        port = free_port()
        daemon = _serve(folder, port, options.engine, url)
        stack.callback(daemon.stop)
        await daemon.until_listening(port)
        victim = await register(port)
        room_id = await victim.room()
        probe = Probe(Target(port=port, user_id=victim.user_id, token=victim.token, room_id=room_id))
        stack.callback(probe.stop)
        await asyncio.sleep(3)
        print(
            "milliseconds: median, 99th percentile, longest; megabytes: RSS (with its children), data folder"
        )
        quiet = await _stretch("(nothing)", [], port, daemon, probe, folder, 5)
        results = [quiet]
        print(quiet.line(), flush=True)
        for name in names:
            attacks = [ATTACKS[name]] * options.at_once
            results.append(await _stretch(name, attacks, port, daemon, probe, folder, options.seconds))
            print(results[-1].line(), flush=True)
        if options.together and len(names) > 1:
            every = [ATTACKS[name] for name in names]
            results.append(
                await _stretch("all together", every, port, daemon, probe, folder, options.together)
            )
            print(results[-1].line(), flush=True)
    problems = [problem for result in results for problem in _problems(result)]
    for problem in problems:
        print(f"missed: {problem}")
    return 1 if problems and options.require else 0


def _problems(result: Figures) -> list[str]:
    found = list(result.problems)
    for name in ("versions", "sync"):
        p99 = _at(sorted(result.latencies[name]), 0.99)
        if not p99 <= MAX_P99_S:
            found.append(f"{result.name}: {name} p99 {p99 * 1000:.0f} ms")
    if result.peak_mb > MAX_RSS_MB:
        found.append(f"{result.name}: RSS {result.peak_mb:.0f} MB")
    return found


async def _stretch(
    name: str,
    attacks: list[Attack],
    port: int,
    daemon: Daemon,
    probe: Probe,
    folder: Path,
    seconds: float,
) -> Figures:
    attackers = [await register(port) for _ in attacks]
    before = _disk(folder)
    probe.report()
    peak = family = 0.0
    tasks = [
        asyncio.ensure_future(attack(attacker)) for attack, attacker in zip(attacks, attackers, strict=True)
    ]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        await asyncio.sleep(0.1)
        own, together = _memory(daemon.pid)
        peak, family = max(peak, own), max(family, together)
    latencies = await asyncio.to_thread(probe.report)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    problems = [] if daemon.runs else [f"{name}: the server has ended"]
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            problems.append(f"{name}: the attack itself failed: {outcome!r}")
            break
    await close_all()
    await asyncio.sleep(2)
    return Figures(
        name=name,
        latencies=latencies,
        peak_mb=peak,
        family_mb=family,
        disk_mb=(_disk(folder) - before) / MIB,
        problems=problems,
    )


def _serve(folder: Path, port: int, engine: str, url: str) -> Daemon:
    config = folder / "palpo.toml"
    config.write_text(
        'server_name = "attacked.localhost"\n'
        f"data = {json.dumps(str(folder / 'data'))}\n"
        f'[[listeners]]\nbind = "127.0.0.1:{port}"\n'
        # Each attacker has an address of their own.
        f'[http]\nengine = "{engine}"\ntrusted_proxies = ["127.0.0.1"]\n'
        f"[database]\nurl = {json.dumps(url)}\n"
        "[registration]\nopen = true\n"
        '[log]\nlevel = "warning"\nrequests = false\n'
    )
    command: list[str | Path] = [sys.executable, "-m", "palpo.cli.main", "serve", "--config", config]
    return Daemon(command, log=folder / "server.log", cwd=folder, environment=dict(os.environ))


def _memory(pid: int) -> tuple[float, float]:
    """RSS in MB of a process, and of it with what its children have for themselves (USS)."""
    process = psutil.Process(pid)
    own = process.memory_info().rss / MIB
    family = own
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            # Until a new process runs its program, all that its parent has counts as its own as well.
            family += child.memory_full_info().uss / MIB
    return own, family


def _disk(folder: Path) -> int:
    """Bytes of every file."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


if __name__ == "__main__":
    sys.exit(main())
