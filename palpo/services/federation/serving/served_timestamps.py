"""Which event is nearest to a time, as other servers ask for it (MSC3030)."""

from __future__ import annotations

from functools import partial

from palpo.core.errors import NotFound
from palpo.core.events import Event
from palpo.db.engine import Database
from palpo.services.federation.servers.residents import Residents
from palpo.services.history.event_store import EventStore
from palpo.services.history.server_visibility import ServerVisibility
from palpo.storage import events as storage

MAX_SCANNED = 1000
"""Events that are looked at where a server may see few."""
AT_ONCE = 100


class ServedTimestamps:
    """Looks for events by their time, for servers that are in their rooms."""

    def __init__(
        self, db: Database, store: EventStore, residents: Residents, visibility: ServerVisibility
    ) -> None:
        self._db = db
        self._store = store
        self._residents = residents
        self._visibility = visibility

    async def near(self, server: str, room_id: str, ts: int, *, backwards: bool) -> Event:
        """The event nearest to a time (ms since the Unix epoch) in one direction that the server may see.

        Raises Forbidden, NotFound.
        """
        await self._residents.check(room_id, server)
        near = partial(storage.near_time, room_id=room_id, ts=ts, backwards=backwards)
        skipped, asked = 0, 1
        while skipped < MAX_SCANNED:
            ids = await self._db.read(partial(near, limit=asked, skipped=skipped))
            items = await self._store.get_list(ids)
            hidden = await self._visibility.hidden(items, server)
            for item in items:
                if item.event_id not in hidden:
                    return item.event
            if len(ids) < asked:
                break
            skipped, asked = skipped + asked, AT_ONCE
        raise NotFound(f"There is no event {'before' if backwards else 'after'} {ts}")
