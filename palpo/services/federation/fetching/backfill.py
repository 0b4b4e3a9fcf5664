"""What is before events, asked of other servers (spec: server-server API, "Backfilling and retrieving missing
events")."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from palpo.core.identifiers import ServerName
from palpo.net.connections import Times
from palpo.net.federation_client import FederationClient
from palpo.services.federation.events.received_events import ReceivedEvents
from palpo.services.federation.fetching.past_events import PastEvents
from palpo.services.history.room_heads import RoomHead

LIMIT = 100
"""Events that are asked for: of more, many servers give no more than these."""
BYTES = 8 * 1024 * 1024
TIMES = Times(connect_s=5, idle_s=10, whole_s=10)


class Backfill:
    """Asks for it, and has it taken in."""

    def __init__(self, client: FederationClient, received: ReceivedEvents, past: PastEvents) -> None:
        self._client = client
        self._received = received
        self._past = past

    async def fetch(
        self, server: ServerName, head: RoomHead, starts: Sequence[str], *, limit: int = LIMIT
    ) -> bool:
        """Fetch ``starts`` and what is before them; whether the first of them is here then.

        Raises FederationError.
        """
        answer = await self._client.json(
            server,
            "GET",
            f"/_matrix/federation/v1/backfill/{quote(head.room_id, safe='')}",
            query=[*(("v", name) for name in starts), ("limit", str(limit))],
            limit=BYTES,
            times=TIMES,
        )
        pdus = answer.get("pdus")
        told = pdus[:limit] if isinstance(pdus, list) else []
        checked = await self._received.events(head.rules, told, room_id=head.room_id)
        return await self._past.take(server, head, checked, starts)
