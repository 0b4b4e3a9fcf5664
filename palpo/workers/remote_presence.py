"""Has users of servers that are gone be offline: nobody says it of them any more."""

from __future__ import annotations

import asyncio

import structlog

from palpo.core.identifiers import server_name_of
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.services.federation.destinations import Destinations
from palpo.services.personal.presence import OFFLINE, PresenceTracker
from palpo.storage.presence import Presence
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns

log = structlog.get_logger("palpo.federation")

GONE_MS = 30 * 60_000
"""For how long a server has to have failed to be told of anything. Those that are there say every 25 minutes
who is there."""
PERIOD_S = 60.0
BATCH = 500
"""Users in one transaction."""


class RemotePresenceWorker:
    """One process at a time is enough. What servers that fail are told of says which are gone."""

    def __init__(self, destinations: Destinations, presence: PresenceTracker, clock: Clock) -> None:
        self._destinations = destinations
        self._presence = presence
        self._clock = clock

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled."""
        while True:
            await asyncio.sleep(PERIOD_S)
            try:
                await self.look()
            except (DatabaseError, OSError) as error:
                log.warning("presence_failed", error=str(error))

    async def look(self) -> None:
        """Have those be offline whose servers are gone by now."""
        until_ms = self._clock.now_ms() - GONE_MS
        servers = await self._destinations.all()
        gone = {item.server_name for item in servers if item.failures and item.failing_since_ts <= until_ms}
        if not gone:
            return
        found = [
            Presence(user_id=item.user_id, presence=OFFLINE, last_active_ts=item.last_active_ts)
            async for item in Turns().over(await self._presence.not_offline())
            if server_name_of(item.user_id) in gone
        ]
        for at in range(0, len(found), BATCH):
            await self._presence.receive(found[at : at + BATCH])
