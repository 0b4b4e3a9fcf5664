"""Events near a time, asked of other servers where something is missing here (MSC3030)."""

from __future__ import annotations

import asyncio
from functools import partial
from urllib.parse import quote

from palpo.core.identifiers import RoomId, ServerName
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.db.engine import Database
from palpo.net.federation_client import FederationClient
from palpo.services.federation.fetching.backfill import Backfill
from palpo.services.federation.servers.peers import Peers
from palpo.services.federation.servers.remote_answers import convert
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.storage import event_edges as storage
from palpo.wire.federation.timestamps import NearestEvent

WHOLE_S = 10.0
AROUND = 20
"""Events that are fetched with the one that is found."""


class RemoteTimestamps:
    """Asks for them."""

    def __init__(
        self,
        db: Database,
        heads: RoomHeads,
        store: EventStore,
        peers: Peers,
        client: FederationClient,
        backfill: Backfill,
    ) -> None:
        self._db = db
        self._heads = heads
        self._store = store
        self._peers = peers
        self._client = client
        self._backfill = backfill

    async def near(self, room_id: RoomId, ts: int, *, backwards: bool, limit_ts: int | None) -> str | None:
        """The event, fetched, that others know nearest to a time in one direction; None for none of use."""
        if not await self._peers.has_any(room_id) or not await self._lacks_any(room_id):
            return None
        ask = partial(self._ask, room_id=room_id, ts=ts, backwards=backwards, limit_ts=limit_ts)
        try:
            async with asyncio.timeout(WHOLE_S):
                return await self._peers.first(room_id, ask)
        except TimeoutError:
            return None

    async def _lacks_any(self, room_id: RoomId) -> bool:
        gaps = partial(storage.backward_extremities, room_id=room_id, order=(2**62, 0), limit=1)
        return bool(await self._db.read(gaps))

    async def _ask(
        self, server: ServerName, room_id: RoomId, ts: int, *, backwards: bool, limit_ts: int | None
    ) -> str | None:
        is_nearer = partial(_is_nearer, ts=ts, limit_ts=limit_ts, backwards=backwards)
        found = await self._nearest(server, room_id, ts, backwards=backwards)
        item = None
        if is_nearer(found.origin_server_ts):
            item = await self._fetched(server, room_id, found.event_id)
        # What it says of the time need not be so.
        return item.event_id if item is not None and is_nearer(item.event.origin_server_ts) else None

    async def _nearest(self, server: str, room_id: RoomId, ts: int, *, backwards: bool) -> NearestEvent:
        answer = await self._client.json(
            server,
            "GET",
            f"/_matrix/federation/v1/timestamp_to_event/{quote(room_id, safe='')}",
            query=[("ts", str(ts)), ("dir", "b" if backwards else "f")],
        )
        return convert(answer, NearestEvent)

    async def _fetched(self, server: ServerName, room_id: RoomId, event_id: str) -> StoredEvent | None:
        item = await self._here(room_id, event_id)
        if item is None:
            head = await self._heads.get(room_id)
            await self._backfill.fetch(server, head, [event_id], limit=AROUND)
            item = await self._here(room_id, event_id)
        return item

    async def _here(self, room_id: RoomId, event_id: str) -> StoredEvent | None:
        item = await self._store.find(event_id)
        accepted = item is not None and item.status is EventStatus.ACCEPTED
        return item if item is not None and accepted and item.event.room_id == room_id else None


def _is_nearer(found: int, ts: int, limit_ts: int | None, *, backwards: bool) -> bool:
    if backwards:
        return found <= ts and (limit_ts is None or limit_ts < found)
    return ts <= found and (limit_ts is None or found < limit_ts)
