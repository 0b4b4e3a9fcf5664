"""Wake-ups by asking the database, where nothing better joins the processes."""

from __future__ import annotations

import asyncio
import contextlib

from palpo.db.engine import EVERYTHING, Commit, Database
from palpo.db.errors import DatabaseError
from palpo.db.position import CURRENT
from palpo.db.transaction import Transaction
from palpo.db.wakeups import OnCommit


class PollingWakeups:
    """Reads the position every ``interval_s`` and wakes everyone when it has moved.

    What takes no position (typing, say) is not seen by other processes before their next look.
    """

    def __init__(self, database: Database, *, interval_s: float = 0.25) -> None:
        self._database = database
        self._interval_s = interval_s
        self._position = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self, on_commit: OnCommit) -> None:
        """Begin to ask; raises DatabaseError if the first time fails."""
        self._position = await self._database.read(read_position)
        self._task = asyncio.get_running_loop().create_task(self._run(on_commit), name="wakeups")

    def publish(self, commit: Commit) -> None:
        """Nothing to do: the others ask.

        Nor does our own commit count as seen: another process may have made one just before it.
        """

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, on_commit: OnCommit) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            with contextlib.suppress(DatabaseError):
                position = await self._database.read(read_position)
                if position > self._position:
                    self._position = position
                    on_commit(Commit(position=position, topics=frozenset({EVERYTHING})))


async def read_position(tx: Transaction) -> int:
    """The stream position that is visible."""
    return int(await tx.value(CURRENT))
