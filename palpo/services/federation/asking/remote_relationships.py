"""What events relate to, asked of other servers (MSC2836)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from palpo.core.events import SignedEvent
from palpo.core.identifiers import RoomId, ServerName
from palpo.core.missing import history_of
from palpo.net.federation_client import FederationClient
from palpo.net.federation_errors import ServerError
from palpo.services.federation.events.received_events import ReceivedEvents
from palpo.services.federation.fetching.backfill import BYTES, TIMES, Backfill
from palpo.services.federation.fetching.past_events import PastEvents
from palpo.services.federation.servers.peers import Peers
from palpo.services.history.room_heads import RoomHead, RoomHeads

PATH = "/_matrix/federation/unstable/event_relationships"
MAX_EVENTS = 100
WHOLE_S = 10.0


class RemoteEventRelationships:
    """Asks for them."""

    def __init__(
        self,
        heads: RoomHeads,
        peers: Peers,
        client: FederationClient,
        received: ReceivedEvents,
        past: PastEvents,
        backfill: Backfill,
    ) -> None:
        self._heads = heads
        self._peers = peers
        self._client = client
        self._received = received
        self._past = past
        self._backfill = backfill

    async def related(self, room_id: RoomId, event_id: str) -> bool:
        """Fetch an event that one here relates to, with what others know around it; whether it is here."""
        head = await self._heads.get(room_id)
        fetch = partial(self._fetch, head=head, event_id=event_id)
        try:
            async with asyncio.timeout(WHOLE_S):
                return bool(await self._peers.first(room_id, fetch))
        except TimeoutError:
            return False

    async def _fetch(self, server: ServerName, head: RoomHead, event_id: str) -> bool:
        try:
            answer = await self._client.json(
                server, "POST", PATH, content=_question(event_id), limit=BYTES, times=TIMES
            )
        except ServerError as error:
            if error.status not in (404, 405):
                raise
            return await self._backfill.fetch(server, head, [event_id])
        told = answer.get("events")
        events = told[:MAX_EVENTS] if isinstance(told, list) else []
        checked = await self._received.events(head.rules, events, room_id=head.room_id)
        if not _is_stretch(checked, event_id):
            # What is between them is needed too.
            return await self._backfill.fetch(server, head, [event_id])
        return await self._past.take(server, head, checked, [event_id])


def _is_stretch(events: Sequence[SignedEvent], start: str) -> bool:
    """Whether the events are ``start`` and what is before it, with none left out between."""
    given = {event.event_id: event for event in events}
    return start in given and len(history_of(given[start], given)) == len(given)


def _question(event_id: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "direction": "up",
        "include_parent": True,
        "include_children": True,
        "recent_first": True,
        "limit": MAX_EVENTS,
        "max_depth": 10,
        "max_breadth": 10,
    }
