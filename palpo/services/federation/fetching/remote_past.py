"""Gaps in the histories of rooms, filled as they are read.

What others do not give is noted, and asked for again later and later. Who reads waits for some seconds; what
is fetched by then or after that is there for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial

import structlog

from palpo.core.errors import MatrixError
from palpo.core.identifiers import RoomId, ServerName, server_name_of
from palpo.core.records.events import EventStatus
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.services.federation.fetching.backfill import Backfill
from palpo.services.federation.servers.peers import Peers
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.tokens import Order
from palpo.storage import event_edges as storage
from palpo.storage.event_edges import BackwardExtremity
from palpo.streams.background import Background
from palpo.streams.clock import Clock

log = structlog.get_logger("palpo.federation")

WAIT_S = 10.0
"""Seconds that who reads waits."""
WHOLE_S = 30.0
"""Seconds for one gap, whoever is asked."""
AT_ONCE = 20
"""Gaps that are filled at once."""
LOOKED_AT = 20
MAX_STARTS = 10
"""Events that are asked for together."""
AGAIN_MS = (60_000, 24 * 3_600_000)
"""How long what was asked for in vain is left alone: at first, and at most."""


class RemotePast:
    """Knows the gaps, and fills them."""

    def __init__(
        self,
        db: Database,
        heads: RoomHeads,
        store: EventStore,
        peers: Peers,
        backfill: Backfill,
        background: Background,
        clock: Clock,
    ) -> None:
        self._db = db
        self._heads = heads
        self._store = store
        self._peers = peers
        self._backfill = backfill
        self._background = background
        self._clock = clock
        self._going: dict[tuple[str, str], asyncio.Future[bool]] = {}

    async def gap(
        self, room_id: RoomId, at: Order, upto: int, *, backwards: bool, passed: Collection[str] = ()
    ) -> tuple[str, int] | None:
        """What is missing next, from ``at`` on, in front of events at places up to ``upto``."""
        if not await self._peers.has_any(room_id):
            return None
        find = storage.backward_extremities if backwards else storage.ahead
        now = self._clock.now_ms()
        for item in await self._db.read(partial(find, room_id=room_id, order=at, limit=LOOKED_AT)):
            near = item.place >= upto if backwards else item.place <= upto
            if near and item.event_id not in passed and _is_due(item, now):
                return item.event_id, item.place
        return None

    async def fill(self, room_id: RoomId, event_id: str) -> bool:
        """Fetch an event that is missing and what is before it; whether that has come within WAIT_S."""
        key = room_id, event_id
        going = self._going.get(key)
        if going is None:
            if len(self._going) >= AT_ONCE:
                return False
            going = self._going[key] = asyncio.get_running_loop().create_future()
            self._background.start("backfill", self._go(room_id, event_id, going))
        try:
            async with asyncio.timeout(WAIT_S):
                return await asyncio.shield(going)
        except TimeoutError:
            return False

    async def _go(self, room_id: RoomId, event_id: str, going: asyncio.Future[bool]) -> None:
        filled = False
        try:
            filled = await self._try(room_id, event_id)
        except DatabaseError as error:
            log.warning("gap_not_filled", room_id=room_id, error=str(error)[:200])
        finally:
            del self._going[room_id, event_id]
            going.set_result(filled)

    async def _try(self, room_id: RoomId, event_id: str) -> bool:
        try:
            async with asyncio.timeout(WHOLE_S):
                if await self._fill(room_id, event_id):
                    return True
        except (TimeoutError, MatrixError) as error:
            log.info("gap_not_filled", room_id=room_id, error=str(error)[:200] or type(error).__name__)
        now = self._clock.now_ms()
        note = partial(storage.tried, room_id=room_id, event_ids=[event_id], now_ms=now)
        await self._db.write(note)
        return False

    async def _fill(self, room_id: RoomId, event_id: str) -> bool:
        head = await self._heads.get(room_id)
        starts, senders = await self._around(event_id)
        fetch = partial(self._backfill.fetch, head=head, starts=starts)
        return bool(await self._peers.first(room_id, fetch, before=senders))

    async def _around(self, event_id: str) -> tuple[list[str], list[ServerName]]:
        """The event and others that are missing beside it; the servers of who sent what follows them."""
        followers = await self._db.read(partial(storage.after, event_ids=[event_id]))
        after = (await self._store.signed(name for _, name in followers)).values()
        beside = [name for event in after for name in event.prev_events]
        known = await self._store.get_many(beside)
        missing = [name for name in beside if name not in known or known[name].status is EventStatus.OUTLIER]
        starts = list(dict.fromkeys([event_id, *missing]))[:MAX_STARTS]
        return starts, [server_name_of(event.sender) for event in after]


def _is_due(item: BackwardExtremity, now_ms: int) -> bool:
    first, longest = AGAIN_MS
    return not item.tries or item.tried_ts + min(first << min(item.tries - 1, 20), longest) <= now_ms
