"""Wake-ups by asking the database, where nothing better joins the processes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from palpo.db.cancelling import end
from palpo.db.engine import Commit, Database
from palpo.db.errors import DatabaseError
from palpo.db.position import CURRENT
from palpo.db.transaction import Transaction
from palpo.db.wakeups import OnCommit, ProcessWakeups


class PollingWakeups:
    """Reads the position every ``interval_s`` and wakes everyone when it has moved.

    With ``known``, which says up to where this process has heard of commits without a gap, only when
    what was visible an interval ago has not been heard of since: nobody tells, or a hint was lost.
    """

    def __init__(
        self, database: Database, *, interval_s: float = 0.25, known: Callable[[], int] | None = None
    ) -> None:
        self._database = database
        self._interval_s = interval_s
        self._known = known
        self._position = 0
        self._flushed = 0.0
        self._on_commit: OnCommit = lambda commit: None
        self._task: asyncio.Task[None] | None = None

    async def start(self, on_commit: OnCommit) -> None:
        """Begin to ask; raises DatabaseError if the first time fails."""
        self._on_commit = on_commit
        self._position = await self._database.read(read_position)
        self._task = asyncio.get_running_loop().create_task(self._run(on_commit), name="wakeups-polling")

    def publish(self, commit: Commit) -> None:
        """Nothing to send: the others ask. But our own commit may show that there were others before it.

        Where nobody tells of those, what waits for ours need not wait until we ask.
        """
        known = self._known() if self._known is not None else commit.since
        now = time.monotonic()
        if commit.since > known and now - self._flushed >= self._interval_s:
            self._flushed = now
            self._on_commit(Commit(position=commit.position, all_topics=True))

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            await end([self._task])

    async def _run(self, on_commit: OnCommit) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            with contextlib.suppress(DatabaseError):
                before, self._position = self._position, await self._database.read(read_position)
                if (self._position > before) if self._known is None else (self._known() < before):
                    on_commit(Commit(position=self._position, all_topics=True))


class BackedWakeups:
    """A link that is quick and may lose a hint, and a slow look at the database that finds what it lost."""

    def __init__(self, link: ProcessWakeups, backing: PollingWakeups) -> None:
        self._link = link
        self._backing = backing

    async def start(self, on_commit: OnCommit) -> None:
        """Start both."""
        await self._link.start(on_commit)
        await self._backing.start(on_commit)

    def publish(self, commit: Commit) -> None:
        """Over the link."""
        self._link.publish(commit)

    async def stop(self) -> None:
        """Stop both."""
        await self._backing.stop()
        await self._link.stop()


async def read_position(tx: Transaction) -> int:
    """The stream position that is visible."""
    return int(await tx.value(CURRENT))
