"""Searching what a user may see (spec: client-server API, "Server Side Search").

    Consumer.catch_up ─▶ newest candidates in the user's rooms ─▶ visibility ─▶ text ─▶ order ─▶ page

The index finds candidates; whether one matches is read from its text (``core.search_terms``). Of one term, at
most MAX_SCANNED of the newest candidates, or MAX_READ characters, are looked at in one request. By recency,
the next page goes on from where the one before ended, as far back as there is anything; by rank, the newest
matches are put in order, and nothing but them is ever returned. "Recent" is by arrival at this server.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Literal

import msgspec

from palpo.core.bounded_text import check_text
from palpo.core.errors import InvalidParam, NotFound
from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.events import StoredEvent
from palpo.core.search_terms import MAX_HIGHLIGHTED, SearchTerm
from palpo.core.search_text import KEY_OF_TYPE, LONG, MAX_TEXT, room_token, searchable_text
from palpo.core.state_keys import ENCRYPTION
from palpo.core.unpadded_base64 import decode, encode_urlsafe
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.services.history.visibility import Visibility
from palpo.services.reading.event_filters import name_predicate, predicate, set_predicate
from palpo.services.reading.search_index import SearchIndex
from palpo.services.reading.timeline import Timeline
from palpo.storage import memberships
from palpo.storage import search as storage
from palpo.storage.search import Wanted
from palpo.streams.fair_queue import FairThreads
from palpo.streams.turns import Turns
from palpo.wire.client.filters import RoomEventFilter

GroupKey = Literal["room_id", "sender"]

MAX_TERM: Final = 2048
"""Bytes."""
MAX_SCANNED: Final = 1000
MAX_READ: Final = 300_000
"""Characters of candidates: a second or two of work, in short stretches."""
MAX_MARKED: Final = 8192
"""Characters of results that are looked through for words to highlight."""
THREADS: Final = 2
"""In which long texts are compared, each user's in turn."""
MAX_WAITING: Final = 200
MAX_WAITING_EACH: Final = 20
PAGE: Final = 250
ROOMS_AT_ONCE: Final = 200
BATCHES: Final = 10
"""Of events that are not indexed yet: how many a search waits for."""
END: Final = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """What somebody searches for."""

    user_id: UserId
    term: str
    keys: Sequence[str]
    limit: int
    """Results of a page, at least 1."""
    recent: bool
    """Ordered by recency, not by rank."""
    group_by: Sequence[GroupKey] = ()
    filter: RoomEventFilter | None = None
    next_batch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """An event that matches."""

    event: StoredEvent
    rank: float


@dataclass(slots=True, kw_only=True)
class Group:
    """The results of a page that have a room, or a sender, in common."""

    order: int
    event_ids: list[str] = field(default_factory=list)
    next_batch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of results."""

    count: int
    """How many there are, as far as was looked."""
    highlights: list[str]
    hits: list[Hit]
    groups: dict[GroupKey, dict[str, Group]]
    next_batch: str | None


class _Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the next page begins: what a ``next_batch`` token says."""

    count: int
    position: int
    """Of the last event that was returned or looked at."""
    upto: int
    """Of the newest match when the search began; what has come since is left out."""
    rank: float | None = None
    """Of the last event that was returned, where the order is by rank."""
    group: tuple[GroupKey, str] | None = None
    """The group that the next page is of; None for all results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scan:
    """The visible matches among the newest, in the order of the query."""

    hits: list[Hit]
    end: int
    """The position down to which was looked."""
    complete: bool
    """Whether there is nothing below."""


class Search:
    """Searches room events."""

    def __init__(
        self,
        db: Database,
        index: SearchIndex,
        events: EventStore,
        heads: RoomHeads,
        visibility: Visibility,
        timeline: Timeline,
        *,
        max_read: int = MAX_READ,
    ) -> None:
        self._max_read = max_read
        self._db = db
        self._index = index
        self._events = events
        self._heads = heads
        self._visibility = visibility
        self._timeline = timeline
        self._threads = FairThreads(
            "search", workers=THREADS, waiting=MAX_WAITING, waiting_each=MAX_WAITING_EACH
        )

    async def search(self, query: SearchQuery) -> Found:
        """A page of results. Raises InvalidParam."""
        check_text(query.term, "The search term", max_bytes=MAX_TERM)
        start = None if query.next_batch is None else _parse_place(query.next_batch)
        term = await self._threads.run(partial(SearchTerm, query.term))
        rooms = await self._rooms(query, start)
        keys = _keys(query)
        if not term.groups or not rooms or not keys:
            return Found(count=0, highlights=term.highlights([]), hits=[], groups={}, next_batch=None)
        await self._index.consumer.catch_up(batches=BATCHES)
        matching = _Matching(query, start, term, keys, rooms, self._threads)
        return _page(matching, await self._scan(matching))

    async def _rooms(self, query: SearchQuery, start: _Place | None) -> list[str]:
        """The rooms to search: those that the user is or was in, and the filter lets through."""
        rows = await self._db.read(lambda tx: memberships.of_user(tx, query.user_id))
        wanted = set_predicate(query.filter.rooms, query.filter.not_rooms) if query.filter else None
        group = start.group if start is not None else None
        return [
            row.room_id
            for row in rows
            if (wanted is None or wanted(row.room_id))
            and (group is None or group[0] != "room_id" or row.room_id == group[1])
        ]

    async def _scan(self, matching: _Matching) -> _Scan:
        """Look through matches from the newest on, until there are enough or it has been enough work."""
        hits: list[Hit] = []
        encrypted: dict[str, bool] = {}
        turns = Turns()
        at, scanned, read, complete = matching.before, 0, 0, False
        while (
            not complete and scanned < MAX_SCANNED and read < self._max_read and len(hits) < matching.enough
        ):
            page = await self._matches(matching, at)
            complete = len(page) < PAGE
            scanned += len(page)
            if page:
                at = page[-1][0]
                visible = await self._visible(matching, [event_id for _, event_id in page], encrypted)
                found, read = _within(visible, read, self._max_read)
                if len(found) < len(visible):
                    at, complete = found[-1].position, False
                hits += await matching.hits(found)
                await turns.breathe()
        if not matching.query.recent:
            hits.sort(key=_by_rank)
        return _Scan(hits=hits, end=at, complete=complete)

    async def _matches(self, matching: _Matching, before: int) -> list[tuple[int, str]]:
        """``(position, event ID)`` of the newest matches below a position, whoever may see them."""
        wanted = matching.wanted(before)

        async def read(tx: Transaction) -> list[tuple[int, str]]:
            found: list[tuple[int, str]] = []
            for first in range(0, len(matching.rooms), ROOMS_AT_ONCE):
                rooms = matching.rooms[first : first + ROOMS_AT_ONCE]
                scopes = [room_token(room_id) for room_id in rooms]
                found += await storage.newest(tx, wanted, rooms=rooms, scopes=scopes, limit=PAGE)
            return sorted(found, reverse=True)[:PAGE]

        return await self._db.read(read)

    async def _visible(
        self, matching: _Matching, ids: Sequence[str], encrypted: dict[str, bool]
    ) -> list[StoredEvent]:
        """The events that the user wants and may see."""
        query = matching.query
        found: Sequence[StoredEvent] = await self._events.get_list(ids)
        found = [item for item in found if item.redacted_by is None]
        if matching.filter is not None:
            found = [item for item in found if matching.filter(item.event)]
        if query.filter is not None:
            found = await self._timeline.with_children(found, query.filter)
        found = [item for item in found if not await self._is_encrypted(item.event.room_id, encrypted)]
        kept = await self._timeline.without_ignored(found, query.user_id)
        seen = await self._visibility.visible(kept, query.user_id)
        # Of an erased user's events, who was not there sees no words.
        return [item for item in seen if _text(item) is not None]

    async def _is_encrypted(self, room_id: RoomId, known: dict[str, bool]) -> bool:
        """Whether a room is encrypted: it is not searched then, not even what is older."""
        if room_id not in known:
            try:
                head = await self._heads.get(room_id)
            except NotFound:
                known[room_id] = True
            else:
                known[room_id] = await self._heads.state_event(head, ENCRYPTION) is not None
        return known[room_id]


class _Matching:
    """A query, ready to be run from where it was left."""

    def __init__(
        self,
        query: SearchQuery,
        start: _Place | None,
        term: SearchTerm,
        keys: Sequence[str],
        rooms: Sequence[str],
        threads: FairThreads,
    ) -> None:
        self._threads = threads
        self.query = query
        self.start = start
        self.term = term
        self.keys = keys
        self.rooms = rooms
        self.filter = predicate(query.filter)
        self.senders = query.filter.senders if query.filter is not None else None
        if start is not None and start.group is not None and start.group[0] == "sender":
            sender = start.group[1]
            self.senders = [sender] if self.senders is None or sender in self.senders else []
        self.before = END
        if start is not None:
            self.before = start.position if query.recent else start.upto + 1
        self.enough = query.limit if query.recent and start is not None else END
        """Where the results have been counted already, more than a page is not needed."""

    def wanted(self, before: int) -> Wanted:
        """What the index is asked."""
        return Wanted(groups=self.term.groups, keys=self.keys, senders=self.senders, before=before)

    async def hits(self, found: Sequence[StoredEvent]) -> list[Hit]:
        """Those of ``found`` that match, with their ranks."""
        hits: list[Hit] = []
        turns = Turns()
        for item in found:
            await turns.breathe()
            text = _text(item) or ""
            if len(text) > LONG:
                rank = await self._threads.run(partial(self.term.rank, text))
            else:
                rank = self.term.rank(text)
            if rank:
                hits.append(Hit(event=item, rank=rank))
        return hits

    def highlights(self, hits: Sequence[Hit]) -> list[str]:
        """The words of the term, and those that stand for them in the results."""
        texts: list[str] = []
        size = 0
        for hit in hits:
            text = _text(hit.event) or ""
            size += min(len(text), MAX_HIGHLIGHTED)
            if size > MAX_MARKED:
                break
            texts.append(text)
        return self.term.highlights(texts)

    def follows(self, hit: Hit) -> bool:
        """Whether a hit is behind those of the pages before."""
        start = self.start
        if start is None or start.rank is None:
            return True
        return (hit.rank, hit.event.position) < (start.rank, start.position)


def _within(found: Sequence[StoredEvent], read: int, max_read: int) -> tuple[Sequence[StoredEvent], int]:
    """The first of ``found``, one at least, that are not too much to read; what has been read by then."""
    for number, item in enumerate(found, 1):
        read += min(len(_text(item) or ""), MAX_TEXT)
        if read >= max_read:
            return found[:number], read
    return found, read


def _page(matching: _Matching, scan: _Scan) -> Found:
    query, start = matching.query, matching.start
    rest = [hit for hit in scan.hits if matching.follows(hit)]
    hits, left = rest[: query.limit], rest[query.limit :]
    newest = max((hit.event.position for hit in scan.hits), default=0)
    place = _Place(
        count=len(scan.hits) if start is None else start.count,
        position=scan.end,
        upto=newest if start is None else start.upto,
        group=None if start is None else start.group,
    )
    more = not scan.complete and query.recent
    next_batch = None
    if len(hits) == query.limit:
        next_batch = _token(query, place, hits[-1])
    elif more:
        next_batch = _token(query, place, None)
    groups = {key: _groups(query, key, place, hits, left, more=more) for key in query.group_by}
    if place.group is not None:
        key, value = place.group
        if key in groups and value in groups[key]:
            groups[key][value].next_batch = next_batch
        next_batch = next_batch if key not in groups else None
    return Found(
        count=place.count,
        highlights=matching.highlights(hits),
        hits=hits,
        groups=groups,
        next_batch=next_batch,
    )


def _groups(
    query: SearchQuery, key: GroupKey, place: _Place, hits: Sequence[Hit], left: Sequence[Hit], *, more: bool
) -> dict[str, Group]:
    groups: dict[str, Group] = {}
    last: dict[str, Hit] = {}
    for hit in hits:
        value = _value(hit, key)
        group = groups.setdefault(value, Group(order=len(groups)))
        group.event_ids.append(hit.event.event_id)
        last[value] = hit
    going_on = {_value(hit, key) for hit in left}
    for value, group in groups.items():
        if more or value in going_on:
            of_group = msgspec.structs.replace(place, group=(key, value))
            group.next_batch = _token(query, of_group, last[value])
    return groups


def _text(item: StoredEvent) -> str | None:
    return searchable_text(item.event.type, item.event.content)


def _value(hit: Hit, key: GroupKey) -> str:
    return hit.event.event.room_id if key == "room_id" else hit.event.event.sender


def _by_rank(hit: Hit) -> tuple[float, int]:
    return -hit.rank, -hit.event.position


def _keys(query: SearchQuery) -> list[str]:
    """The keys that the query asks for, of the types that its filter lets through."""
    filter_ = query.filter
    wanted = None if filter_ is None else name_predicate(filter_.types, filter_.not_types)
    keys = [key for type_, key in KEY_OF_TYPE.items() if wanted is None or wanted(type_)]
    return [key for key in keys if key in query.keys]


def _token(query: SearchQuery, place: _Place, last: Hit | None) -> str:
    """The token of the place behind ``last``, or where ``place`` says if there is no such hit."""
    if last is not None:
        rank_ = None if query.recent else last.rank
        place = msgspec.structs.replace(place, position=last.event.position, rank=rank_)
    return encode_urlsafe(msgspec.json.encode(place))


def _parse_place(token: str) -> _Place:
    try:
        place = msgspec.json.decode(decode(token), type=_Place)
    except (ValueError, RecursionError):
        raise InvalidParam("Not a next_batch token of a search") from None
    numbers = (place.count, place.position, place.upto)
    if not all(0 <= number < END for number in numbers):
        raise InvalidParam("Not a next_batch token of a search")
    return place
