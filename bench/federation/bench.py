"""What a row is measured with: servers that are started for it, sizes, and rooms that are made once."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.federation.rooms import Room
from bench.federation.servers import KINDS, Federated
from bench.federation.town import Town, named
from bench.side_by_side.postgres import Postgres

HOST = "remote.bench.test"
BOB = f"@bob:{named(HOST)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is done."""

    seconds: float = 5
    deliveries: int = 40
    transactions: int = 10
    """Of 50 events each."""
    members: int = 1000
    many_members: int = 60_000
    servers: int = 2000
    holes: int = 500
    conflicted: int = 1000
    """Events of state that two forks have of as much: half of them each."""
    limit_s: float = 600
    """How long one thing may take."""


QUICK = Sizes(
    seconds=1,
    deliveries=5,
    transactions=2,
    members=50,
    many_members=200,
    servers=20,
    holes=5,
    conflicted=100,
    limit_s=60,
)


@dataclass(slots=True)
class Bench:
    """Starts servers, each in a folder of its own, with a database of its own."""

    folder: Path
    sizes: Sizes
    postgres: Postgres | None = None
    keep: bool = False
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _rooms: dict[int, Room] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self, *kinds: str) -> AsyncIterator[tuple[Town, list[Federated]]]:
        """Servers that know where each other are."""
        run = self.folder / f"run{next(self._numbers)}"
        run.mkdir()
        run.chmod(0o755)
        town = Town(run / "town")
        async with AsyncExitStack() as stack:
            servers = []
            for number, kind in enumerate(kinds):
                name = f"{run.name}-{number}-{kind}"
                url = await self.postgres.create_database(name) if self.postgres else ""
                server = KINDS[kind](run / name, url, town, town.place(f"hs{number}.bench.test"))
                stack.callback(server.stop)
                await server.start()
                # What made its tables is no part of a server that runs.
                server.stop()
                await server.start()
                servers.append(server)
            await settled(*servers)
            yield town, servers
        if not self.keep:
            shutil.rmtree(run, ignore_errors=True)

    def room(self, members: int) -> Room:
        """A room with so many members of one server, made once."""
        if members not in self._rooms:
            room = Room(BOB, f"of{members}")
            room.join(f"@user{number}:{named(HOST)}" for number in range(members - 1))
            self._rooms[members] = room
        return self._rooms[members].again()


async def settled(*servers: Federated, seconds: float = 60) -> None:
    """Wait, not for ever, until servers do no more work of their own."""
    deadline = time.monotonic() + seconds
    before = _cpu(servers)
    while time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        now = _cpu(servers)
        if now - before < 0.05 * len(servers):
            return
        before = now


def _cpu(servers: tuple[Federated, ...]) -> float:
    return sum(server.daemon.cpu_seconds() for server in servers if server.daemon is not None)
