"""Work that one process at a time does: hold a lease while it runs, give it up when it is lost.

The lease is a promise about time only, and a process may be stopped for longer than it thinks; what
must not be done twice compares ``fence`` where it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from palpo.db import leases
from palpo.db.cancelling import end
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.streams.clock import Clock

Work = Callable[[Lease], Awaitable[None]]
LOOK_SECONDS = 0.5
"""Between two looks at who holds leases."""


async def all_run_out(db: Database, clock: Clock) -> bool:
    """Whether nobody works any more: waits until the leases have run out; False once one is renewed."""
    first = await _held(db, clock)
    while held := await _held(db, clock):
        if any(until_ms > first.get(name, 0) for name, until_ms in held.items()):
            return False
        await asyncio.sleep(LOOK_SECONDS)
    return True


async def _held(db: Database, clock: Clock) -> dict[str, int]:
    return await db.read(lambda tx: leases.held(tx, now_ms=clock.now_ms()))


class LeaseKeeper:
    """Runs work while this process holds its lease.

    ``holder`` names the process, ``duration_ms`` is how long a process may be silent before another
    takes over; a lease is renewed after a third of that, and tried for as often by those without it.
    """

    def __init__(self, db: Database, clock: Clock, *, holder: str, duration_ms: int = 15_000) -> None:
        self._db = db
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
        now_ms, until_ms = self._term()
        with contextlib.suppress(DatabaseError):
            return await self._db.write(
                lambda tx: leases.acquire(tx, name, holder=self._holder, now_ms=now_ms, until_ms=until_ms)
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
            await end([task])
            if (last := held) is not None:
                with contextlib.suppress(DatabaseError):
                    await self._db.write(lambda tx: leases.release(tx, last))

    async def _renew(self, lease: Lease) -> Lease | None:
        """The lease renewed, or as it is while the database is away and it has not run out."""
        now_ms, until_ms = self._term()
        try:
            return await self._db.write(lambda tx: leases.renew(tx, lease, now_ms=now_ms, until_ms=until_ms))
        except DatabaseError:
            return lease if now_ms + self._pause_s * 1000 < lease.until_ms else None

    def _term(self) -> tuple[int, int]:
        """From now on, until when a lease is held."""
        now_ms = self._clock.now_ms()
        return now_ms, now_ms + self._duration_ms
