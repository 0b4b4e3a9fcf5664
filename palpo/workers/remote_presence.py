"""Has users of servers that are gone be offline: nobody says it of them any more."""

from __future__ import annotations

from collections.abc import Set

from palpo.core.identifiers import server_name_of
from palpo.db.leases import Lease
from palpo.services.federation.servers.destinations import Destinations
from palpo.services.personal.presence import OFFLINE, PresenceTracker
from palpo.storage.presence import Presence
from palpo.streams import topics
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups
from palpo.workers.periods import now_and_then

GONE_MS = 30 * 60_000
"""For how long a server has to have failed to be told of anything. Those that are there say every 25 minutes
who is there."""
PERIOD_S = 60.0
BATCH = 500
"""Users in one transaction."""


class RemotePresenceWorker:
    """One process at a time is enough. Servers are gone that cannot be told of anything, and say nothing."""

    def __init__(
        self, destinations: Destinations, presence: PresenceTracker, wakeups: Wakeups, clock: Clock
    ) -> None:
        self._destinations = destinations
        self._presence = presence
        self._clock = clock
        self._heard_ms: dict[str, int] = {}
        """When those that cannot be told were last heard from."""
        wakeups.listen(topics.RETRIES, self._heard_from)

    async def run(self, _lease: Lease) -> None:
        """Go on until cancelled."""
        await now_and_then(self.look, failed="presence_failed", start_s=PERIOD_S, period_s=PERIOD_S)

    async def look(self) -> None:
        """Have those be offline whose servers are gone by now."""
        until_ms = self._clock.now_ms() - GONE_MS
        servers = await self._destinations.all()
        self._heard_ms = {server: at_ms for server, at_ms in self._heard_ms.items() if at_ms > until_ms}
        failing = {
            item.server_name for item in servers if item.failures and item.failing_since_ts <= until_ms
        }
        gone = failing - self._heard_ms.keys()
        if not gone:
            return
        found = [
            Presence(user_id=item.user_id, presence=OFFLINE, last_active_ts=item.last_active_ts)
            async for item in Turns().over(await self._presence.not_offline())
            if server_name_of(item.user_id) in gone
        ]
        for at in range(0, len(found), BATCH):
            await self._presence.receive(found[at : at + BATCH])

    def _heard_from(self, servers: Set[str] | None, _position: int) -> None:
        now_ms = self._clock.now_ms()
        self._heard_ms |= dict.fromkeys(servers or (), now_ms)
