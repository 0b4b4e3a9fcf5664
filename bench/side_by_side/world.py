"""What a server holds while it is measured: accounts and rooms, made when a row first wants them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.side_by_side import matrix
from bench.side_by_side.matrix import User
from bench.side_by_side.processes import Daemon

if TYPE_CHECKING:
    from bench.side_by_side.large_world import LargeWorld


@dataclass(slots=True)
class Sample:
    """A row's measurement: how long each request took, and what all of them cost."""

    latencies: list[float] = field(default_factory=list)  # Seconds.
    elapsed: float = 0.0  # Seconds.
    server_cpu: float = 0.0  # Seconds of the homeserver's processes.
    database_cpu: float = 0.0  # Seconds of PostgreSQL's; 0 with SQLite.
    received: int = 0  # Bytes of the bodies, where a row counts them.

    @property
    def count(self) -> int:
        """Requests."""
        return len(self.latencies)

    def percentile_ms(self, part: float) -> float:
        """Such as the median for 0.5, in milliseconds."""
        ordered = sorted(self.latencies)
        return 1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))]


class World:
    """A server's accounts and rooms."""

    def __init__(
        self, port: int, server: Daemon, database: Daemon | None, *, large: LargeWorld | None = None
    ) -> None:
        self._large = large
        self.port = port
        self.server = server
        self.database = database
        self.prepared: dict[str, Any] = {}
        # Opened around what is measured next, and then no more.
        self.profiler: AbstractAsyncContextManager[None] | None = None
        self._users: list[User] = []
        self._named: int = 0

    @property
    def large(self) -> LargeWorld:
        """The accounts and rooms that a large row needs."""
        assert self._large is not None
        return self._large

    async def new_user(self) -> User:
        """An account that nothing else uses."""
        self._named += 1
        return await matrix.register(self.port, f"user{self._named}")

    async def users(self, count: int) -> list[User]:
        """The first ``count`` accounts that all rows share, each with its own connection."""
        missing = count - len(self._users)
        if missing > 0:
            self._users += await in_parallel(4, [self.new_user] * missing)
        return self._users[:count]

    async def crowd(self, count: int) -> tuple[str, list[User]]:
        """A new room that the first ``count`` accounts are in."""
        users = await self.users(count)
        room_id = await users[0].create_room()
        for user in users[1:]:
            await user.join(room_id)
        return room_id, users

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far of the homeserver, and of its database server."""
        return self.server.cpu_seconds(), self.database.cpu_seconds() if self.database else 0.0

    def profiled(self) -> AbstractAsyncContextManager[None]:
        """Profile the body, where that is asked for."""
        profiler, self.profiler = self.profiler or nullcontext(), None
        return profiler

    @asynccontextmanager
    async def watching(self, sample: Sample) -> AsyncIterator[None]:
        """Add the time and CPU that the body takes to ``sample``."""
        async with self.profiled():
            server, database = self.cpu()
            start = time.perf_counter()
            try:
                yield
            finally:
                sample.elapsed += time.perf_counter() - start
                server_after, database_after = self.cpu()
                sample.server_cpu += server_after - server
                sample.database_cpu += database_after - database

    async def settle(self, seconds: float = 15.0) -> None:
        """Wait, not for ever, until the server does no more work of its own."""
        deadline = time.monotonic() + seconds
        before = sum(self.cpu())
        while time.monotonic() < deadline:
            await asyncio.sleep(0.4)
            now = sum(self.cpu())
            if now - before < 0.04:
                return
            before = now


async def in_parallel(width: int, calls: list[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """What the calls return, at most ``width`` of them under way at once."""
    gate = asyncio.Semaphore(width)

    async def one(call: Callable[[], Awaitable[Any]]) -> Any:
        async with gate:
            return await call()

    return await all_of([one(call) for call in calls])


async def all_of(calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """What the calls return; where one raises, the others are cancelled and that error is raised."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
