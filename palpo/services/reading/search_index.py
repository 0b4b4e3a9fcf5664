"""Keeps the search index up to the stream, a batch at a time.

It follows soon after what is sent, and a search has it catch up before it looks, so that what has just been
sent is found. Of several processes that index the same batch, one commits it.

What an older version of Palpo has indexed by other tokens is indexed anew, once nothing is missing and from
the beginning; until it gets there, an old event is found by what it was found by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.search_text import KEY_OF_TYPE, LONG, VERSION, room_token, searchable_text, tokens
from palpo.db import consumers
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.services.reading.user_directory import UserDirectory
from palpo.storage import search as storage
from palpo.storage.search import Entry
from palpo.streams import topics
from palpo.streams.consumers import LOOK_S, Consumer, Handler, Progress, Window
from palpo.streams.wakeups import Wakeups

CONSUMER: Final = "search"
REBUILD: Final = f"search-rebuild-{VERSION}"
"""Who makes what is older than this version anew."""
DONE: Final = 2**62
"""Where a rebuild is that has come to its end."""
BATCH: Final = 200
"""Events that are looked at in one go."""
REBUILT_BATCHES: Final = 5
"""Of what is indexed anew, in one go."""
GATHER_S: Final = 0.5
"""How long events are gathered: a search does not wait for this, it indexes what is missing itself."""
STRETCH_S: Final = 0.005
"""How long others wait at a time for texts to be cut into words."""


class SearchIndex(Handler):
    """Follows the rooms' histories into the index."""

    def __init__(
        self, db: Database, wakeups: Wakeups, events: EventStore, user_directory: UserDirectory
    ) -> None:
        self._db = db
        self._events = events
        self._user_directory = user_directory
        self._rebuilt = False
        self.consumer = Consumer(CONSUMER, self, db, wakeups, gather_s=GATHER_S, kinds=[topics.HEAD])

    async def begin(self, tx: WriteTransaction) -> int:
        """With the first event; nothing is older than this version."""
        await consumers.register(tx, REBUILD, position=DONE)
        return 0

    async def handle(self, window: Window) -> Progress:
        """Index one batch."""
        found = await self._db.read(lambda tx: storage.events_after(tx, window.after, BATCH))
        upto = found[-1][0] if len(found) == BATCH else window.upto
        names = [event_id for position, event_id in found if position <= upto]
        if not names:
            return Progress(upto=upto)
        events = await self._events.get_list(names)
        entries = await _entries(events)
        redacted = [name for item in events if (name := item.event.redacts)]
        return Progress(upto=upto, write=partial(_store, entries, redacted))

    async def rest(self) -> float:
        """Index some of what an older version has indexed anew."""
        await self._user_directory.rebuild()
        for _ in range(REBUILT_BATCHES):
            if await self.rebuild():
                return LOOK_S
        return 0.0

    async def rebuild(self) -> bool:
        """Index one batch of what an older version has indexed anew; whether there is no more of it."""
        if not self._rebuilt:
            self._rebuilt = await self._rebuild_batch()
        return self._rebuilt

    async def _rebuild_batch(self) -> bool:
        since = await self._db.read(lambda tx: consumers.position_of(tx, REBUILD))
        if since is None:
            since = await self._db.write(lambda tx: consumers.register(tx, REBUILD, position=0))
        if since >= DONE:
            return True
        found = await self._db.read(lambda tx: storage.events_after(tx, since, BATCH))
        found = [item for item in found if item[0] <= self.consumer.position]
        names = [event_id for _, event_id in found]
        to = found[-1][0] if found else DONE
        entries = await _entries(await self._events.get_list(names))

        async def unit(tx: WriteTransaction) -> None:
            if not await consumers.advance(tx, REBUILD, since=since, to=to) or not found:
                return
            await storage.remove_range(tx, since, to)
            await storage.add(tx, entries)
            # One may have been redacted, and taken out, since it was read.
            await storage.remove_redacted(tx, names)

        await self._db.write(unit)
        return not found


async def _store(entries: Sequence[Entry], redacted: Sequence[str], tx: WriteTransaction) -> None:
    await storage.add(tx, entries)
    if redacted:
        await storage.remove_redacted(tx, redacted)


async def _entries(events: Sequence[StoredEvent]) -> list[Entry]:
    """The entries of those events that can be found."""
    entries: list[Entry] = []
    began = time.perf_counter()
    for item in events:
        entry = await _entry(item)
        if entry is not None:
            entries.append(entry)
        if time.perf_counter() - began > STRETCH_S:
            await asyncio.sleep(0)
            began = time.perf_counter()
    return entries


async def _entry(item: StoredEvent) -> Entry | None:
    """The entry of an event; None where it can never be found."""
    event = item.event
    if item.status is not EventStatus.ACCEPTED or item.redacted_by is not None:
        return None
    text = searchable_text(event.type, event.content)
    if not text:
        return None
    words = tokens(text) if len(text) <= LONG else await asyncio.to_thread(tokens, text)
    if not words:
        return None
    return Entry(
        position=item.position,
        event_id=item.event_id,
        room_id=event.room_id,
        sender=event.sender,
        key=KEY_OF_TYPE[event.type],
        words=" ".join([room_token(event.room_id), *words]),
    )
