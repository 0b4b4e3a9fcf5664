"""Work that one process at a time does: hold a lease while it runs, give it up when it is lost.

The lease is a promise about time only, and a process may be stopped for longer than it thinks; what
must not be done twice compares ``fence`` where it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from palpo.db.errors import DatabaseError
from palpo.streams.clock import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A name held by ``holder`` until ``until_ms``; ``fence`` is greater than every earlier holder's."""

    name: str
    holder: str
    fence: int
    until_ms: int


class LeaseStore(Protocol):
    """Where leases are kept; each call is one compare-and-swap."""

    async def acquire(self, name: str, *, holder: str, now_ms: int, until_ms: int) -> Lease | None:
        """The lease, or None where another holds it."""
        ...

    async def renew(self, lease: Lease, *, now_ms: int, until_ms: int) -> Lease | None:
        """The lease with its new end, or None where it has been lost."""
        ...

    async def release(self, lease: Lease) -> bool:
        """Give it back; whether it was still held."""
        ...


Work = Callable[[Lease], Awaitable[None]]


class LeaseKeeper:
    """Runs work while this process holds its lease.

    ``holder`` names the process, ``duration_ms`` is how long a process may be silent before another
    takes over; a lease is renewed after a third of that, and tried for as often by those without it.
    """

    def __init__(self, store: LeaseStore, clock: Clock, *, holder: str, duration_ms: int = 15_000) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._duration_ms = duration_ms
        self._pause_s = duration_ms / 3000

    async def run(self, name: str, work: Work) -> None:
        """Whenever the lease ``name`` can be had, run ``work``, until cancelled.

        ``work`` is cancelled when the lease is lost and started anew when it is held again; if it
        returns, the lease is kept and nothing more is done; if it raises, the lease is released
        and the error is raised.
        """
        while True:
            lease = await self._acquire(name)
            if lease is None:
                await asyncio.sleep(self._pause_s)
                continue
            await self._work(lease, work)

    async def _acquire(self, name: str) -> Lease | None:
        now_ms = self._clock.now_ms()
        with contextlib.suppress(DatabaseError):
            return await self._store.acquire(
                name, holder=self._holder, now_ms=now_ms, until_ms=now_ms + self._duration_ms
            )
        return None

    async def _work(self, lease: Lease, work: Work) -> None:
        task = asyncio.ensure_future(work(lease))
        held: Lease | None = lease
        try:
            while held is not None:
                lease = held
                if task.done():
                    task.result()
                    await asyncio.sleep(self._pause_s)
                elif (await asyncio.wait({task}, timeout=self._pause_s))[0]:
                    continue
                held = await self._renew(lease)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if held is not None:
                with contextlib.suppress(DatabaseError):
                    await self._store.release(held)

    async def _renew(self, lease: Lease) -> Lease | None:
        """The lease renewed, or as it is while the database is away and it has not run out."""
        now_ms = self._clock.now_ms()
        try:
            return await self._store.renew(lease, now_ms=now_ms, until_ms=now_ms + self._duration_ms)
        except DatabaseError:
            return lease if now_ms + self._pause_s * 1000 < lease.until_ms else None
