"""Collects what is new in one room for one connection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from msgspec import UNSET, UnsetType

from palpo.core import state_tree
from palpo.core.events import Event, StateKey
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import AVATAR, MEMBER, NAME
from palpo.core.state_tree import EMPTY_ROOT
from palpo.services.history.event_store import EventStore
from palpo.storage.sliding_sync import RoomSent
from palpo.sync.claimed_members import claimed_members
from palpo.sync.filters import SyncFilter
from palpo.sync.joined import Reader, wanted
from palpo.sync.left import LeftRooms
from palpo.sync.members import Client, SentMembers, member_pairs
from palpo.sync.redacted_state import RedactedState
from palpo.sync.room_news import RoomNews
from palpo.sync.sliding.bumps import BumpStamps
from palpo.sync.sliding.changes import Due
from palpo.sync.sliding.config import StateConfig, lazy_members, wants_state
from palpo.sync.summary import GONE, Summaries
from palpo.sync.timelines import Timelines
from palpo.sync.window import Window

WHOLE = 2**31
"""The ``limit`` of a room whose every event the client has."""

Text = str | UnsetType | None
"""A name: None if it is gone, UNSET if it has not changed or never was."""
Diff = dict[StateKey, tuple[str | None, str | None]]


@dataclass(slots=True, kw_only=True)
class SlidingRoomNews(RoomNews):
    """What is new in one room, for one connection."""

    due: Due
    expanded: bool = False
    unset: list[StateKey] = field(default_factory=list)
    """State that is gone."""
    name: Text = UNSET
    avatar: Text = UNSET
    heroes: list[Event] | None = None
    """Their member events."""
    bump_stamp: int | None = None
    counted: bool = False
    """Whether the counts are news."""
    members: list[tuple[str, str]] = field(default_factory=list)
    """``(user, event)`` of those who are in it, where they are loaded lazily."""
    forgets: bool = False
    """Whether the client forgets what members it knew: of a room that is new, and after a gap."""
    limit: int = 0
    """How many of the newest events the client then has."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to tell."""
        due = self.due
        return not (
            due.initial
            or self.expanded
            or self.counted
            or self.state
            or self.unset
            or self.timeline is not None
            or not due.joined
            or (due.sent is not None and due.sent.direct != due.direct)
        )

    def sent(self, config: int) -> RoomSent:
        """What the connection knows of the room once it has this."""
        due = self.due
        return RoomSent(
            membership=due.room.membership,
            upto=None,
            limit=self.limit,
            config=config,
            extensions=due.extensions,
            direct=due.direct,
        )


class SlidingRooms:
    """Timelines, state and summaries of rooms."""

    def __init__(
        self,
        store: EventStore,
        timelines: Timelines,
        left: LeftRooms,
        summaries: Summaries,
        redacted: RedactedState,
        bumps: BumpStamps,
        sent: SentMembers,
    ) -> None:
        self._store = store
        self._timelines = timelines
        self._left = left
        self._summaries = summaries
        self._redacted = redacted
        self._bumps = bumps
        self._sent = sent

    async def collect(self, reader: Reader, due: Due, window: Window) -> SlidingRoomNews:
        """What there is to tell of a room."""
        news = SlidingRoomNews(
            room_id=due.room_id,
            due=due,
            limit=WHOLE if due.sent is None or due.initial else due.sent.limit,
            forgets=due.initial,
        )
        if due.room.membership in GONE:
            await self._collect_left(reader, news, window.upto)
        elif due.joined:
            await self._collect_joined(reader, news, window)
        else:
            news.bump_stamp = due.room.row.position
        return news

    def note_members(self, client: Client, news: SlidingRoomNews, upto: int) -> None:
        """Note that the members in ``news`` are in a response that leads to ``upto``."""
        if news.forgets:
            self._sent.forget(client, news.room_id)
        self._sent.mark(client, news.room_id, news.members, upto=upto)

    async def _collect_joined(self, reader: Reader, news: SlidingRoomNews, window: Window) -> None:
        due, upto = news.due, window.upto
        await self._add_timeline(reader, news, upto)
        end = await self._timelines.end_root(due.room_id, upto)
        if due.initial:
            await self._add_initial_state(news, end)
        elif due.moved or due.new_state:
            known = await self._timelines.state_root(due.room_id, due.known) if due.moved else end
            await self._add_changed_state(news, known or EMPTY_ROOT, end, upto)
        if news.timeline is not None and lazy_members(due.match.config.state):
            await self._add_lazy_members(reader, news, end, window.after)
        if news.timeline is not None:
            news.bump_stamp = await self._bumps.get(due.room_id, upto)

    async def _add_timeline(self, reader: Reader, news: SlidingRoomNews, upto: int) -> None:
        due, limit = news.due, news.due.match.config.limit
        whole = due.initial or due.expanded
        if not whole and not due.moved:
            return
        part = await self._timelines.latest(
            due.room_id,
            reader.user_id,
            after=0 if whole else due.known,
            upto=upto,
            limit=limit,
            wanted=wanted(reader),
        )
        if part.events or part.limited or whole:
            news.timeline = part
            news.expanded = due.expanded
        if part.limited:
            news.limit = limit
        elif whole:
            news.limit = WHOLE

    async def _add_initial_state(self, news: SlidingRoomNews, end: bytes) -> None:
        due = news.due
        ids = await self._select(end, due.match.config.state)
        found = await self._store.get_many(ids.values())
        news.state = list(found.values())
        named = await self._store.state_events(end, (NAME, AVATAR))
        news.name = _text(named.get(NAME), "name") or UNSET
        news.avatar = _text(named.get(AVATAR), "url") or UNSET
        await self._add_summary(news, end, named=news.name is not UNSET)

    async def _add_changed_state(self, news: SlidingRoomNews, known: bytes, end: bytes, upto: int) -> None:
        due = news.due
        diff: Diff = await self._store.read_state(state_tree.diff(known, end))
        if due.moved:
            redacted = await self._redacted.within(due.room_id, end, after=due.known, upto=upto)
            diff |= {key: (item.event_id, item.event_id) for key, item in redacted.items() if key not in diff}
        if await self._timelines.became_whole(due.room_id, due.known, upto):
            diff = _without_new_members(due, diff)
        keys = self._wanted_keys(news, diff)
        ids = {key: new for key in keys if (new := diff[key][1]) is not None}
        news.unset = [key for key in keys if diff[key][1] is None]
        if due.new_state:
            ids |= await self._select(end, due.new_state)
        news.state = list((await self._store.get_many(ids.values())).values())
        await self._add_names(news, diff, end)

    def _wanted_keys(self, news: SlidingRoomNews, diff: Diff) -> list[StateKey]:
        """The changed state that is wanted; all members who changed too, if there is no gap."""
        config = news.due.match.config.state
        members = lazy_members(config) and not (news.timeline is not None and news.timeline.limited)
        return [key for key in diff if wants_state(config, key) or (members and key[0] == MEMBER)]

    async def _select(self, root: bytes, config: StateConfig) -> dict[StateKey, str]:
        """The state that ``config`` wants, members that are loaded lazily aside."""
        patterns = {pattern for rule in config for pattern in rule.include}
        exact = [
            (type_, state_key) for type_, state_key in patterns if type_ is not None and state_key is not None
        ]
        if len(exact) == len(patterns):
            found = await self._store.read_state(state_tree.get_many(root, exact))
        else:
            found = await self._store.read_state(state_tree.items(root))
        return {key: event_id for key, event_id in found.items() if wants_state(config, key)}

    async def _add_names(self, news: SlidingRoomNews, diff: Diff, end: bytes) -> None:
        keys = [key for key in (NAME, AVATAR) if key in diff]
        found = await self._store.state_events(end, keys) if keys else {}
        if NAME in diff:
            news.name = _text(found.get(NAME), "name")
        if AVATAR in diff:
            news.avatar = _text(found.get(AVATAR), "url")
        if NAME in diff or any(key[0] == MEMBER for key in diff):
            named = news.name
            if named is UNSET:
                named = _text(await self._store.state_event(end, *NAME), "name")
            await self._add_summary(news, end, named=named is not None)

    async def _add_summary(self, news: SlidingRoomNews, end: bytes, *, named: bool) -> None:
        """Counts, and the heroes of a room without a name; of its members now, so not for who has left."""
        due = news.due
        if not due.joined:
            return
        news.summary = await self._summaries.get(due.room_id, due.room.row.user_id, end)
        if named or not due.match.config.heroes:
            return
        keys = [(MEMBER, user_id) for user_id in news.summary.heroes or ()]
        members = await self._store.state_events(end, keys)
        news.heroes = [members[key].event for key in keys if key in members]

    async def _add_lazy_members(self, reader: Reader, news: SlidingRoomNews, end: bytes, since: int) -> None:
        """Those who appear in the timeline, if the connection does not know them yet."""
        due, timeline = news.due, news.timeline
        assert timeline is not None
        news.forgets |= timeline.limited and not news.expanded
        shown: set[str] = {item.event.sender for item in timeline.events}
        shown |= {
            item.event.state_key
            for item in timeline.events
            if item.event.type == MEMBER and item.event.state_key is not None
        }
        members = await self._store.state_events(end, [(MEMBER, user_id) for user_id in sorted(shown)])
        if len(members) < len(shown):
            missing = shown - {key[1] for key in members}
            members |= await claimed_members(self._store, timeline.events, missing)
        there = {item.event_id for item in news.state}
        pairs = member_pairs(members.values())
        unsent = {user_id for user_id, _ in pairs}
        if not news.forgets:
            unsent = self._sent.unsent(reader.client, due.room_id, pairs, since=since)
        news.state += [
            item for (_, user_id), item in members.items() if item.event_id not in there and user_id in unsent
        ]
        news.members = member_pairs(news.state)

    async def _collect_left(self, reader: Reader, news: SlidingRoomNews, upto: int) -> None:
        """What happened until the user left."""
        due, config = news.due, news.due.match.config
        row = due.room.row
        reader = replace(reader, filter=SyncFilter(timeline_limit=config.limit))
        window = Window(since=None if due.initial else due.known, upto=upto, changed=None)
        left = await self._left.departure(reader, window, row)
        news.timeline, news.bump_stamp = left.timeline, row.position
        news.limit = config.limit if left.timeline.limited else WHOLE
        if left.shown and left.known is None:
            await self._add_initial_state(news, left.end)
        elif left.shown:
            await self._add_changed_state(news, left.known or EMPTY_ROOT, left.end, row.position)
        key = (MEMBER, row.user_id)
        if wants_state(config.state, key):
            news.state = [item for item in news.state if item.event.key != key]
            news.state.append(await self._store.get(row.event_id))


def _without_new_members(due: Due, diff: Diff) -> Diff:
    """What has changed, without members of whom nothing was known, where they are loaded lazily."""
    if not lazy_members(due.match.config.state):
        return diff
    return {key: pair for key, pair in diff.items() if key[0] != MEMBER or pair[0] is not None}


def _text(item: StoredEvent | None, name: str) -> str | None:
    """A member of the content that is text, None where it is not there or empty."""
    value = None if item is None else item.event.content.get(name)
    return value if isinstance(value, str) and value else None
