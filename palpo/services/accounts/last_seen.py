"""Where devices were last used from, gathered in memory and written now and then.

Noting a request costs a look into a dict. What was noted is at most a minute out of date in the
database, which the spec allows; :meth:`LastSeen.of` has it fresh for this process's requests.
"""

from __future__ import annotations

import asyncio
from functools import partial

from palpo.core.identifiers import MAX_LENGTH, UserId
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.services.accounts.sessions import Requester
from palpo.storage import devices as storage
from palpo.storage.devices import Seen
from palpo.streams.clock import Clock

FLUSH_SECONDS = 60.0
FLUSH_BATCH = 500
MAX_NOTED = 10_000
"""Devices that are noted at a time; more are not, until these are written."""
MAX_USER_AGENT = 1024
"""Characters that are kept."""


class LastSeen:
    """Notes which device sent a request, when and from where."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._noted: dict[tuple[UserId, str], tuple[int, str, str | None]] = {}
        """By user and device: when, from which address, by what program."""

    def note(self, requester: Requester, ip: str, user_agent: str | None) -> None:
        """A request of ``requester``'s came from the address ``ip``."""
        if requester.device_id is None:
            return
        key = (requester.user_id, requester.device_id)
        if len(self._noted) < MAX_NOTED or key in self._noted:
            self._noted[key] = (
                self._clock.now_ms(),
                ip[:MAX_LENGTH],
                user_agent and user_agent[:MAX_USER_AGENT],
            )

    def of(self, user_id: UserId, device_id: str) -> Seen | None:
        """What was noted and is not written yet."""
        noted = self._noted.get((user_id, device_id))
        return None if noted is None else _seen((user_id, device_id), *noted)

    async def flush(self) -> None:
        """Write what was noted."""
        noted, self._noted = [_seen(key, *what) for key, what in self._noted.items()], {}
        for start in range(0, len(noted), FLUSH_BATCH):
            await self._db.write(partial(storage.seen, items=noted[start : start + FLUSH_BATCH]))

    async def run(self) -> None:
        """Write every minute, and once more at the end."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                try:
                    await self.flush()
                except DatabaseError:
                    continue  # The devices' next requests are noted again.
        finally:
            await self.flush()


def _seen(key: tuple[UserId, str], ts: int, ip: str, user_agent: str | None) -> Seen:
    if user_agent is not None:
        user_agent = user_agent.replace("\0", "")
    return Seen(user_id=key[0], device_id=key[1], ts=ts, ip=ip, user_agent=user_agent)
