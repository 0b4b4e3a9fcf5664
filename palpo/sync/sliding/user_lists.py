"""Each user's rooms by activity, kept in memory and brought up to date by what has changed since."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from palpo.core.canonical_json import decode_object
from palpo.core.errors import MatrixError
from palpo.core.identifiers import UserId
from palpo.core.membership import BAN, INVITE, JOIN, KNOCK
from palpo.db.engine import Database
from palpo.db.topics import Topics
from palpo.services.history import HistoryServices
from palpo.services.personal.account_data import DIRECT, TAGS, AccountData
from palpo.services.personal.invite_permissions import DECIDING, InvitePermissions
from palpo.services.rooms.user_rooms import UserRooms
from palpo.storage import rooms as rooms_storage
from palpo.storage.memberships import Member
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups
from palpo.sync.sliding.facts import Facts
from palpo.sync.sliding.listing import UNKNOWN, ListedRoom, Personal, RoomFilter, SortedRooms

MAX_VIEWS = 100
"""Filtered lists that are kept of one user."""


class _View:
    """The rooms that match one filter."""

    __slots__ = ("children", "filter", "rooms")

    def __init__(self, filter_: RoomFilter) -> None:
        self.filter = filter_
        self.rooms = SortedRooms()
        self.children: frozenset[str] = frozenset()


class UserList:
    """One user's rooms: those of MSC4186's server list, not the ones that the user has left."""

    __slots__ = ("lock", "memberships", "personal", "rooms", "upto", "views")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.upto = -1
        self.memberships: dict[str, Member] = {}
        self.rooms: dict[str, ListedRoom] = {}
        self.personal = Personal(tags={})
        self.views: dict[RoomFilter, _View] = {}
        """Those asked for last; the longest ago first."""

    def view(self, filter_: RoomFilter) -> _View | None:
        """The view with that filter, which counts as asked for."""
        view = self.views.pop(filter_, None)
        if view is not None:
            self.views[filter_] = view
        return view

    def keep(self, view: _View) -> None:
        """Add a view, and drop what is over the bound."""
        self.views[view.filter] = view
        while len(self.views) > MAX_VIEWS:
            del self.views[next(iter(self.views))]


class UserLists:
    """Keeps the lists."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        history: HistoryServices,
        user_rooms: UserRooms,
        account_data: AccountData,
        invite_permissions: InvitePermissions,
        facts: Facts,
        caches: CacheBudget,
    ) -> None:
        self._db = db
        self._wakeups = wakeups
        self._access = history.room_access
        self._heads = history.room_heads
        self._user_rooms = user_rooms
        self._account_data = account_data
        self._invite_permissions = invite_permissions
        self._facts = facts
        self._lists: Cache[str, UserList] = caches.cache("sliding_lists", _list_bytes)

    async def get(self, user_id: UserId, upto: int) -> UserList:
        """The user's rooms as of ``upto`` or later."""
        found = self._lists.touch(user_id)
        if found is None:
            found = UserList()
            self._lists.keep({user_id: found})
        if found.upto < upto:
            async with found.lock:
                if found.upto < upto:
                    await self._bring_up(user_id, found, upto)
                    self._lists.keep({user_id: found})
        return found

    async def view(self, of: UserList, filter_: RoomFilter) -> SortedRooms:
        """Those of the rooms that match a filter."""
        view = of.view(filter_)
        if view is None:
            async with of.lock:
                view = _View(filter_)
                await self._fill(of, view, of.rooms, spaces=True)
                of.keep(view)
        return view.rooms

    async def was_in(self, row: Member) -> bool:
        """Whether the user of ``row``, who is not in the room, has been in it."""
        return await self._access.left_by(row) is not None

    async def _bring_up(self, user_id: UserId, of: UserList, upto: int) -> None:
        try:
            await self._refresh(user_id, of, upto)
        except BaseException:
            # The request was given up in the middle: what was noted but not done is done anew.
            of.upto, of.memberships = -1, {}
            raise

    async def _refresh(self, user_id: UserId, of: UserList, upto: int) -> None:
        """Bring ``of`` up to date, at the cost of what has changed."""
        news = self._wakeups.changed_since(of.upto) if of.upto >= 0 else None
        changed = await self._refresh_personal(user_id, of, upto)
        memberships = await self._user_rooms.get(user_id)
        if memberships is not of.memberships:
            before = of.memberships
            if of.upto < 0:
                changed |= of.rooms.keys()
            changed |= {room_id for room_id in before if room_id not in memberships}
            changed |= {room_id for room_id, row in memberships.items() if before.get(room_id) != row}
            of.memberships = memberships
        moved = _moved(news, memberships)
        await self._list(of, changed | moved, await self._positions(of, changed | moved))
        for view in list(of.views.values()):  # Another request may look one up meanwhile.
            await self._fill(of, view, changed | moved, spaces=False)
        of.upto = upto

    async def _refresh_personal(self, user_id: UserId, of: UserList, upto: int) -> set[str]:
        """Read what changed in the account data; the rooms that it is about."""
        data = await self._account_data.changed(user_id, max(of.upto, 0), upto)
        direct, ignored, tags = of.personal.direct, of.personal.ignored, dict(of.personal.tags)
        changed: set[str] = set()
        for room_id, type_, content in data:
            if room_id is None and type_ == DIRECT:
                direct = _direct(content)
                changed |= direct ^ of.personal.direct
            elif room_id is None and type_ in DECIDING:
                ignored = await self._account_data.ignored_users(user_id)
                changed |= {name for name, row in of.memberships.items() if row.membership is INVITE}
            elif room_id is not None and type_ == TAGS:
                tags[room_id] = _tags(content)
                changed.add(room_id)
        if data:
            of.personal = Personal(direct=direct, tags=tags, ignored=ignored)
        return changed

    async def _positions(self, of: UserList, room_ids: Iterable[str]) -> dict[str, int]:
        """Where those of the rooms that the user is in end."""
        joined = [
            room_id
            for room_id in room_ids
            if room_id in of.memberships and of.memberships[room_id].membership is JOIN
        ]
        if len(joined) > 1:
            rows = await self._db.read(lambda tx: rooms_storage.load_heads(tx, joined))
            return {row.room_id: row.position for row in rows}
        try:
            return {room_id: (await self._heads.get(room_id)).row.position for room_id in joined}
        except MatrixError:
            return {}

    async def _list(self, of: UserList, room_ids: Iterable[str], positions: dict[str, int]) -> None:
        for room_id in room_ids:
            row = of.memberships.get(room_id)
            if row is None or not await self._listed(row):
                of.rooms.pop(room_id, None)
            else:
                activity = max(positions.get(room_id, 0), row.position)
                of.rooms[room_id] = ListedRoom(row=row, activity=activity)

    async def _listed(self, row: Member) -> bool:
        """Whether a room is in the list: not one that the user has left by themselves."""
        if row.membership in (JOIN, KNOCK):
            return True
        if row.membership is INVITE:
            return await self._invite_permissions.shows(row.user_id, row.sender)
        return (row.membership is BAN or row.sender != row.user_id) and await self.was_in(row)

    async def _fill(self, of: UserList, view: _View, changed: Collection[str], *, spaces: bool) -> None:
        """Put the ``changed`` rooms into a view, or take them out."""
        wanted = view.filter.spaces
        if wanted and (spaces or not wanted.isdisjoint(changed)):
            joined = [room.row for name in wanted if (room := of.rooms.get(name)) is not None]
            view.children = await self._facts.children(row for row in joined if row.membership is JOIN)
            changed = of.rooms
        for room_id in changed:
            room = of.rooms.get(room_id)
            if room is not None and await self._matches(of, view, room):
                view.rooms.put(room_id, room.activity)
            else:
                view.rooms.discard(room_id)

    async def _matches(self, of: UserList, view: _View, room: ListedRoom) -> bool:
        facts = await self._facts.get(room.row) if view.filter.asks_facts else UNKNOWN
        return view.filter.matches(room, facts, of.personal, view.children)


def _list_bytes(user_id: UserId, of: UserList) -> int:
    """Of what is kept of each room, here and in the views."""
    views = sum(len(view.rooms) for view in of.views.values())
    filters = sum(filter_.size for filter_ in of.views)
    personal = len(of.personal.tags) + len(of.personal.direct) + len(of.personal.ignored)
    return (
        1500
        + 150 * len(of.memberships)
        + 250 * len(of.rooms)
        + 200 * views
        + 250 * (personal + filters)
        + 1000 * len(of.views)
    )


def _moved(news: Topics | None, memberships: dict[str, Member]) -> set[str]:
    """The rooms whose history has grown."""
    if news is None:
        return set(memberships)
    return {room_id for room_id in news.get(topics.HEAD, ()) if room_id in memberships}


def _direct(content: bytes) -> frozenset[str]:
    """The rooms in ``m.direct``: lists of them by user."""
    rooms: set[str] = set()
    for listed in decode_object(content).values():
        if isinstance(listed, list):
            rooms.update(room_id for room_id in listed if isinstance(room_id, str))
    return frozenset(rooms)


def _tags(content: bytes) -> frozenset[str]:
    tags = decode_object(content).get("tags")
    return frozenset(tags) if isinstance(tags, dict) else frozenset()
