"""What a homeserver's process takes in memory, and whether that stays so: ``python -m bench.memory``.

Each section runs on a server of its own, which is measured when it has just started, and at points on the
way. Synapse, some fifty times as slow, is taken through the first part of the same; ``docs/benchmarks.md``
tells more.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import orjson
import psutil
import uvloop

from bench.side_by_side.matrix import User, next_batch, register
from bench.side_by_side.postgres import Postgres
from bench.side_by_side.servers import ENGINES, ROOT, SERVERS, Palpo, Server, Synapse
from bench.side_by_side.world import all_of, in_parallel

MIB = 1024 * 1024
MOST_MIB = 400
"""Palpo is never over this."""
FLAT = 1.1
"""How many times its first figure a section's last one may be, once the caches have been full."""
SENDERS = 16
LARGE_BYTES = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A server's memory at one point, in MiB."""

    server: str
    section: str
    point: int
    rss: float
    """Of the process and its children."""
    pss: float
    """The same, what several processes share being counted once."""
    peak: float
    """The most that the process itself ever had."""
    seconds: float
    """Since the section's start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Something that memory could grow with."""

    name: str
    about: str
    points: tuple[int, ...]
    synapse: int
    """The last point that Synapse is taken to."""
    grow: Callable[[int, list[int]], AsyncIterator[int]]
    """Takes the server at a port to each of the points, and stays there until it is asked for the next."""
    flat: bool = False
    """Whether the last two points have to be alike."""


async def _small(port: int, points: list[int]) -> AsyncIterator[int]:
    """Short messages, one sender after the other, to twenty rooms, whose members sync now and then."""
    senders, rooms = await _crowd(port, SENDERS, 20)
    async for point in _sent(senders, rooms, points, "The quick brown fox jumps over the lazy dog"):
        await all_of([user.sync() for user in senders])
        yield point


async def _large(port: int, points: list[int]) -> AsyncIterator[int]:
    """Messages of 60 kB, and then all of them read, back to the first."""
    senders, rooms = await _crowd(port, SENDERS, 4)
    done = 0
    async for point in _sent(senders, rooms, points, "z" * LARGE_BYTES):
        await all_of(
            [_read(senders[number], room, (point - done) // len(rooms)) for number, room in enumerate(rooms)]
        )
        done = point
        yield point


async def _rooms(port: int, points: list[int]) -> AsyncIterator[int]:
    """Rooms of two members with a message in each; both members' clients sync."""
    (alice, bob), _ = await _crowd(port, 2, 1)
    # By turns: a user may make 5,000.
    makers = [
        (User(port, maker.user_id, maker.token), User(port, other.user_id, other.token))
        for maker, other in [(alice, bob), (bob, alice)] * 2
    ]
    numbers = itertools.count(1)
    for point in points:

        async def make(user: User, other: User, end: int = point) -> None:
            for number in numbers:
                room = await user.create_room(name=f"Room {number}")
                await other.join(room)
                await user.send(room)
                if number > end - len(makers):
                    return

        await all_of([make(*pair) for pair in makers])
        await all_of([alice.sync(), bob.sync(lazy=True)])
        yield point


async def _waiting(port: int, points: list[int]) -> AsyncIterator[int]:
    """Users in ten rooms, each with up to twenty clients that wait for something to happen."""
    users, _ = await _crowd(port, max(1, points[-1] // 20), 10)
    for _ in range(2):  # The first syncs are news to each other: who is online.
        since = [next_batch(await user.sync()) for user in users]
        await asyncio.sleep(3)
    waiting: list[asyncio.Task[None]] = []
    try:
        for point in points:
            while len(waiting) < point:
                number = len(waiting) % len(users)
                client = User(port, users[number].user_id, users[number].token)
                waiting.append(asyncio.create_task(_wait(client, since[number])))
                if len(waiting) % 50 == 0:
                    await asyncio.sleep(0.2)
            await asyncio.sleep(5)
            yield point
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


SECTIONS = (
    Section(
        name="small",
        about="events",
        points=(5_000, 20_000, 50_000, 200_000),
        synapse=20_000,
        grow=_small,
        flat=True,
    ),
    Section(name="large", about="events of 60 kB", points=(500, 2_000, 20_000), synapse=2_000, grow=_large),
    Section(name="rooms", about="rooms", points=(500, 5_000), synapse=500, grow=_rooms),
    Section(name="waiting", about="waiting syncs", points=(500, 2_000), synapse=2_000, grow=_waiting),
)


async def _wait(client: User, since: str) -> None:
    """Sync for ever; what comes at first is who is online."""
    while True:
        since = next_batch(await client.sync(since=since, timeout_ms=110_000))


async def _crowd(port: int, users: int, rooms: int) -> tuple[list[User], list[str]]:
    """Accounts that are in all of some new rooms."""
    made: list[User] = await in_parallel(4, [partial(register, port, f"user{n}") for n in range(users)])
    names = [await made[0].create_room(name=f"Room {number}") for number in range(rooms)]
    for user in made[1:]:
        for room in names:
            await user.join(room)
    return made, names


async def _sent(senders: list[User], rooms: list[str], points: list[int], text: str) -> AsyncIterator[int]:
    """Send until there are so many events, at each point."""
    numbers = iter(range(points[-1]))
    for point in points:

        async def send(user: User, end: int = point) -> None:
            for number in numbers:
                await user.send(rooms[number % len(rooms)], text)
                if number >= end - len(senders):
                    return

        await all_of([send(user) for user in senders])
        yield point


async def _read(user: User, room: str, count: int) -> None:
    """Read a room's newest ``count`` events."""
    start = ""
    for _ in range(0, count, 50):
        page = orjson.loads(await user.messages(room, start=start))
        start = page.get("end", "")
        if not start:
            return


def _measure(pid: int) -> tuple[float, float, float]:
    """RSS and PSS of a process and its children, and the process's highest RSS; in MiB."""
    parent = psutil.Process(pid)
    infos = [process.memory_full_info() for process in (parent, *parent.children(recursive=True))]
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    return sum(info.rss for info in infos) / MIB, sum(info.pss for info in infos) / MIB, peak


def main() -> int:
    """Measure, print; 1 where ``--require`` is not met."""
    options = _options()
    folder = Path(tempfile.mkdtemp(prefix="palpo-memory-"))
    folder.chmod(0o755)  # PostgreSQL may run as another user.
    Palpo.source = options.source.resolve()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            figures = runner.run(_run(options, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("\n" + table(figures))
    if options.json:
        options.json.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n")
    missed = shortfalls(figures)
    for reason in missed:
        print(f"over the bar: {reason}")
    return 1 if missed and options.require else 0


def _options() -> argparse.Namespace:
    names = [section.name for section in SECTIONS]
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--servers", type=_choice(list(SERVERS)), default=list(SERVERS), metavar="NAME,…")
    parser.add_argument(
        "--sections", type=_choice(names), default=names, metavar="NAME,…", help=", ".join(names)
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--engine", choices=tuple(ENGINES), default="uvicorn", help="Palpo's HTTP engine")
    parser.add_argument("--source", type=Path, default=ROOT, metavar="FOLDER", help="a checkout of Palpo")
    parser.add_argument("--scale", type=float, default=1.0, help="such as 0.1, for a tenth of everything")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--require", action="store_true", help="fail where Palpo is over a bar")
    return parser.parse_args()


def _choice(known: list[str]) -> Callable[[str], list[str]]:
    def convert(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := [name for name in chosen if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return [name for name in known if name in chosen]

    return convert


async def _run(options: argparse.Namespace, folder: Path) -> list[Figure]:
    figures: list[Figure] = []
    async with AsyncExitStack() as stack:
        postgres = None
        if options.database == "postgresql":
            postgres = Postgres(folder / "postgresql")
            stack.callback(postgres.stop)
            await postgres.start()
        for section in SECTIONS:
            for name in options.servers if section.name in options.sections else ():
                kind = ENGINES[options.engine] if name == Palpo.name else SERVERS[name]
                url = await postgres.create_database(f"{name}_{section.name}") if postgres else ""
                server = kind(folder / f"{name}-{section.name}", url)
                server.quick_passwords = True
                try:
                    figures += await _section(options.scale, section, server)
                finally:
                    server.stop()
                    shutil.rmtree(server.folder, ignore_errors=True)
    return figures


async def _section(scale: float, section: Section, server: Server) -> list[Figure]:
    await server.start()
    assert server.daemon is not None
    start = time.monotonic()
    pid = server.daemon.pid
    last = section.synapse if server.name == Synapse.name else section.points[-1]
    points = [max(20, int(point * scale)) for point in section.points if point <= last]
    figures: list[Figure] = []

    async def note(point: int) -> None:
        await asyncio.sleep(2)
        rss, pss, peak = _measure(pid)
        figure = Figure(
            server=server.name,
            section=section.name,
            point=point,
            rss=rss,
            pss=pss,
            peak=peak,
            seconds=time.monotonic() - start,
        )
        figures.append(figure)
        print(
            f"memory: {server.name}, {point:,} {section.about}: {rss:.0f} MiB "
            f"({pss:.0f} PSS, at most {peak:.0f}) after {figure.seconds:.0f} s",
            file=sys.stderr,
            flush=True,
        )

    await note(0)
    async for point in section.grow(server.port, points):
        await note(point)
    return figures


def table(figures: list[Figure]) -> str:
    """RSS in MiB at each point, a server in each column."""
    servers = list(dict.fromkeys(figure.server for figure in figures))
    lines = [f"| MiB | {' | '.join(servers)} |", "| --- |" + " --: |" * len(servers)]
    for section in SECTIONS:
        of_section = [figure for figure in figures if figure.section == section.name]
        for point in sorted({figure.point for figure in of_section}):
            cells = [
                next(
                    (
                        f"{figure.rss:.0f}"
                        for figure in of_section
                        if (figure.server, figure.point) == (name, point)
                    ),
                    "",
                )
                for name in servers
            ]
            lines.append(f"| {section.name}: {point:,} {section.about} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shortfalls(figures: list[Figure]) -> list[str]:
    """The bars that Palpo is over."""
    missed: list[str] = []
    own = {(figure.section, figure.point): figure for figure in figures if figure.server == Palpo.name}
    others = {(figure.section, figure.point): figure for figure in figures if figure.server != Palpo.name}
    for (name, point), figure in own.items():
        where = f"{name}, {point:,}"
        other = others.get((name, point))
        if other is not None and figure.rss > other.rss:
            missed.append(f"{where}: {figure.rss:.0f} MiB, {other.server} {other.rss:.0f}")
        if max(figure.rss, figure.peak) > MOST_MIB:
            missed.append(f"{where}: {figure.rss:.0f} MiB, at most {figure.peak:.0f}, over {MOST_MIB}")
    for section in SECTIONS:
        points = sorted(point for name, point in own if name == section.name)
        if section.flat and points[-1:] == [section.points[-1]]:
            before, after = (own[section.name, point].rss for point in points[-2:])
            if after > before * FLAT:
                missed.append(f"{section.name}: from {before:.0f} to {after:.0f} MiB, not flat")
    return missed


if __name__ == "__main__":
    sys.exit(main())
