"""Collects what is new in the rooms that a user is in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from palpo.core.events import Event
from palpo.core.identifiers import UserId
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.core.state_tree import EMPTY_ROOT
from palpo.services.history.event_store import State
from palpo.storage.memberships import Member
from palpo.streams.turns import Turns
from palpo.sync.each import each
from palpo.sync.filters import SyncFilter
from palpo.sync.members import Client
from palpo.sync.redacted_state import RedactedState
from palpo.sync.room_news import RoomNews
from palpo.sync.state_delta import StateDeltas, StateRequest
from palpo.sync.summary import NAME, Summaries
from palpo.sync.timelines import TimelinePart, Timelines, Wanted
from palpo.sync.window import Window

SUMMARISED = frozenset((MEMBER, NAME))
"""The state that summaries are made of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who syncs, and how."""

    user_id: UserId
    client: Client
    """Whom lazy loading keeps count for."""
    filter: SyncFilter
    state_after: bool
    full_state: bool = False
    ignored: frozenset[str] = frozenset()


@dataclass(slots=True, kw_only=True)
class V3RoomNews(RoomNews):
    """What is new in one room, for its section of /sync."""

    timeline: TimelinePart
    end: bytes
    """Root of the state after the timeline."""
    fresh: bool = False
    """Whether the client did not know that the user was in the room."""
    made_whole: bool = False
    """Whether its members were missing until now."""
    renamed: bool = False
    """Whether something that the room is named by was redacted."""
    gap: bool = False
    """Whether what happened was too much to find out if the filter lets any of it through."""
    ephemeral: list[bytes] = field(default_factory=list)
    account_data: list[bytes] = field(default_factory=list)

    def arrived(self) -> Iterator[str]:
        """Users whose joining is among the news."""
        for item in self.events:
            if item.event.type == MEMBER and membership_of(item.event) == JOIN:
                yield item.event.state_key or ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell, not even of a gap."""
        return not (self.gap or self.made_whole or self.events or self.ephemeral or self.account_data)


class JoinedRooms:
    """Timelines, state and summaries of joined rooms."""

    def __init__(
        self,
        timelines: Timelines,
        states: StateDeltas,
        summaries: Summaries,
        redacted: RedactedState,
    ) -> None:
        self._timelines = timelines
        self._states = states
        self._summaries = summaries
        self._redacted = redacted

    async def shown(self, reader: Reader, window: Window, rooms: Sequence[Member]) -> list[Member]:
        """Those of ``rooms`` that the reader is told of: without lazy loading, none whose members are
        missing (MSC3902)."""
        if reader.filter.lazy_members:
            return list(rooms)
        turns = Turns()
        return [
            row async for row in turns.over(rooms) if await self._timelines.is_whole(row.room_id, window.upto)
        ]

    async def collect(self, reader: Reader, window: Window, rooms: Sequence[Member]) -> list[V3RoomNews]:
        """What happened in each of ``rooms`` within ``window``."""
        collected = await each(rooms, lambda row: self._collect(reader, window, row))
        await self._summarise(reader, window, collected)
        return collected

    async def _collect(self, reader: Reader, window: Window, membership: Member) -> V3RoomNews:
        room_id = membership.room_id
        known = await self._timelines.joined_root(membership, window.since) or EMPTY_ROOT
        made_whole = await self._timelines.became_whole(room_id, window.after, window.upto)
        if made_whole and not reader.filter.lazy_members:
            known = EMPTY_ROOT
        fresh = known == EMPTY_ROOT
        after = 0 if fresh else window.after
        timeline = await self._timeline(reader, window, room_id, after)
        if fresh and not window.initial:
            # However much of it is shown, the client has a gap before it.
            timeline = replace(timeline, limited=True)
        end = await self._timelines.end_root(room_id, window.upto)
        request = StateRequest(
            room_id=room_id,
            user_id=reader.user_id,
            client=reader.client,
            known=EMPTY_ROOT if reader.full_state else known,
            end=end,
            timeline=timeline,
            window=window,
            state_after=reader.state_after,
            made_whole=made_whole,
            partial=not await self._timelines.is_whole(room_id, window.upto),
        )
        state = await self._states.delta(request, reader.filter)
        redacted: State = {}
        if request.known != EMPTY_ROOT:
            redacted = await self._redacted.within(room_id, end, after=window.after, upto=window.upto)
            state += _untold(redacted, timeline, state, reader.filter)
        gap = timeline.limited and reader.filter.timeline_limit > 0
        return V3RoomNews(
            room_id=room_id,
            timeline=timeline,
            state=state,
            fresh=fresh,
            made_whole=made_whole and not fresh,
            renamed=made_whole or any(key[0] in SUMMARISED for key in redacted),
            gap=gap,
            end=end,
        )

    async def _summarise(self, reader: Reader, window: Window, rooms: Sequence[V3RoomNews]) -> None:
        """Add the summaries that clients need: of new rooms, and where members or the name changed."""
        due = {news.room_id: news.end for news in rooms if news.fresh or reader.full_state or _renamed(news)}
        summaries = await self._summaries.get_many(reader.user_id, due)
        for news in rooms:
            news.summary = summaries.get(news.room_id)
        if reader.filter.lazy_members:
            called = [news for news in rooms if news.summary is not None and news.summary.heroes]
            await each(called, lambda news: self._add_heroes(reader, window, news))

    async def _add_heroes(self, reader: Reader, window: Window, news: V3RoomNews) -> None:
        """Add the heroes' member events, where the client has not got them (spec: "RoomSummary")."""
        heroes = (news.summary.heroes if news.summary is not None else None) or ()
        members = await self._states.missing_members(reader.client, news.room_id, news.end, heroes, window)
        told = {item.event_id for item in news.state}
        if not reader.state_after:
            told |= {item.event_id for item in news.timeline.events}
        state = reader.filter.state
        news.state += [
            item for item in members if item.event_id not in told and (state is None or state(item.event))
        ]

    async def _timeline(self, reader: Reader, window: Window, room_id: str, after: int) -> TimelinePart:
        filter_ = reader.filter
        return await self._timelines.latest(
            room_id,
            reader.user_id,
            after=after,
            upto=window.upto,
            limit=filter_.timeline_limit,
            wanted=wanted(reader),
        )


def wanted(reader: Reader) -> Wanted | None:
    """The reader's timeline filter, with whom they ignore left out."""
    chosen, ignored = reader.filter.timeline, reader.ignored
    if not ignored:
        return chosen

    def matches(event: Event) -> bool:
        if event.sender in ignored and event.state_key is None:
            return False
        return chosen is None or chosen(event)

    return matches


def _renamed(news: V3RoomNews) -> bool:
    """Whether there is anything new of what a client names the room by."""
    return news.renamed or any(item.event.type in SUMMARISED for item in news.events)


def _untold(
    redacted: State, timeline: TimelinePart, state: Sequence[StoredEvent], filter_: SyncFilter
) -> list[StoredEvent]:
    """Redacted state whose redaction is not in the timeline, for a gap or a filter."""
    told = {item.event_id for item in (*timeline.events, *state)}
    wanted_ = filter_.state
    return [
        item
        for item in redacted.values()
        if item.redacted_by not in told
        and item.event_id not in told
        and (wanted_ is None or wanted_(item.event))
    ]
