"""Keeps the search index up to the stream, a batch at a time, whoever asks for it.

A worker asks after each commit, and a search asks before it looks, so that what has just been sent
is found. Of several processes that index the same batch, one commits it.
"""

from __future__ import annotations

import asyncio
from itertools import count

from palpo.core.errors import InvalidParam
from palpo.core.identifiers import parse_event_id
from palpo.core.search_text import KEY_OF_TYPE, room_token, searchable_text, tokens
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.event_store import EventStore
from palpo.storage import consumers
from palpo.storage import search as storage
from palpo.storage.events import EventStatus, StoredEvent
from palpo.storage.search import Entry

CONSUMER = "search"
BATCH = 200
"""Events that are looked at in one go."""


class SearchIndex:
    """Follows the stream into the index."""

    def __init__(self, db: Database, events: EventStore) -> None:
        self._db = db
        self._events = events
        self._lock = asyncio.Lock()

    async def catch_up(self, *, batches: int | None = None) -> None:
        """Index what is not indexed yet, or the first so many batches of it."""
        for _ in count() if batches is None else range(batches):
            async with self._lock:
                if await self._advance():
                    return

    async def _advance(self) -> bool:
        """Index one batch; whether it was the last."""
        since, found = await self._db.read(_next)
        if since is None:
            await self._db.write(lambda tx: consumers.register(tx, CONSUMER, position=0))
            return False
        if not found:
            return True
        to = found[-1][0]
        events = await self._events.get_list([event_id for _, event_id in found])
        entries = [entry for item in events if (entry := _entry(item)) is not None]
        redacted = [name for item in events if (name := item.event.redacts) and _is_event_id(name)]

        async def unit(tx: WriteTransaction) -> None:
            if not await consumers.advance(tx, CONSUMER, since=since, to=to):
                return
            await storage.add(tx, entries)
            if redacted:
                await storage.remove_redacted(tx, redacted)

        await self._db.write(unit)
        return len(found) < BATCH


async def _next(tx: Transaction) -> tuple[int | None, list[tuple[int, str]]]:
    since = await consumers.position_of(tx, CONSUMER)
    return since, [] if since is None else await storage.events_after(tx, since, BATCH)


def _entry(item: StoredEvent) -> Entry | None:
    """The entry of an event; None where it can never be found."""
    event = item.event
    if item.status is not EventStatus.ACCEPTED or item.redacted_by is not None:
        return None
    text = searchable_text(event.type, event.content)
    words = tokens(text) if text else None
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
