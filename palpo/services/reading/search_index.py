"""Keeps the search index up to the stream, a batch at a time, whoever asks for it.

A worker asks after each commit, and a search asks before it looks, so that what has just been sent
is found. Of several processes that index the same batch, one commits it.

What an older version of Palpo has indexed by other tokens is indexed anew by the worker, beside that and
from the beginning; until it gets there, an old event is found by what it was found by.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import count
from typing import Final

from palpo.core.errors import InvalidParam
from palpo.core.identifiers import parse_event_id
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.search_text import KEY_OF_TYPE, LONG, VERSION, room_token, searchable_text, tokens
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.history.event_store import EventStore
from palpo.storage import consumers
from palpo.storage import search as storage
from palpo.storage.search import Entry

CONSUMER: Final = "search"
REBUILD: Final = f"search-rebuild-{VERSION}"
"""Who makes what is older than this version anew."""
DONE: Final = 2**62
"""Where a rebuild is that has come to its end."""
BATCH: Final = 200
"""Events that are looked at in one go."""
STRETCH_S: Final = 0.005
"""How long others wait at a time for texts to be cut into words."""


class SearchIndex:
    """Follows the stream into the index."""

    def __init__(self, db: Database, events: EventStore) -> None:
        self._db = db
        self._events = events
        self._lock = asyncio.Lock()
        self._rebuilt = False

    async def catch_up(self, *, batches: int | None = None) -> None:
        """Index what is not indexed yet, or the first so many batches of it."""
        for _ in count() if batches is None else range(batches):
            async with self._lock:
                if await self._advance():
                    return

    async def rebuild(self) -> bool:
        """Index one batch of what an older version has indexed anew; whether there is no more of it."""
        if not self._rebuilt:
            self._rebuilt = await self._rebuild_batch()
        return self._rebuilt

    async def _advance(self) -> bool:
        """Index one batch; whether it was the last."""
        since, found = await self._db.read(_next)
        if since is None:
            await self._db.write(_begin)
            return False
        if not found:
            return True
        to = found[-1][0]
        events = await self._events.get_list([event_id for _, event_id in found])
        entries = await _entries(events)
        redacted = [name for item in events if (name := item.event.redacts) and _is_event_id(name)]

        async def unit(tx: WriteTransaction) -> None:
            if not await consumers.advance(tx, CONSUMER, since=since, to=to):
                return
            await storage.add(tx, entries)
            if redacted:
                await storage.remove_redacted(tx, redacted)

        await self._db.write(unit)
        return len(found) < BATCH

    async def _rebuild_batch(self) -> bool:
        since, upto = await self._db.read(_rebuilding)
        if upto is None:
            # There is nothing at all yet, and so nothing old.
            return False
        if since is None:
            since = await self._db.write(lambda tx: consumers.register(tx, REBUILD, position=0))
        if since >= DONE:
            return True
        found = await self._db.read(lambda tx: storage.events_after(tx, since, BATCH))
        found = [item for item in found if item[0] <= upto]
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


async def _next(tx: Transaction) -> tuple[int | None, list[tuple[int, str]]]:
    since = await consumers.position_of(tx, CONSUMER)
    return since, [] if since is None else await storage.events_after(tx, since, BATCH)


async def _begin(tx: WriteTransaction) -> None:
    await consumers.register(tx, CONSUMER, position=0)
    await consumers.register(tx, REBUILD, position=DONE)


async def _rebuilding(tx: Transaction) -> tuple[int | None, int | None]:
    """How far the rebuild has come, and how far the index has."""
    return await consumers.position_of(tx, REBUILD), await consumers.position_of(tx, CONSUMER)


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


def _is_event_id(text: str) -> bool:
    try:
        parse_event_id(text)
    except InvalidParam:
        return False
    return True
