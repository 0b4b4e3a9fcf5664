"""Summaries of rooms and of spaces, for those who may join them.

Spec: client-server API, "Room summary" and "Spaces" (``/hierarchy``).

A hierarchy is paged through as it was when its first page was asked for: a page's token has that position of
the stream, and the way from the space down to the last room that was looked at, as places among children. So
rooms that come and go meanwhile make no other be left out or shown twice.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from palpo.core.errors import Forbidden, InvalidParam, NotFound
from palpo.core.events import Event
from palpo.core.identifiers import RoomId, UserId
from palpo.core.membership import BAN, INVITE, JOIN
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.services.rooms.remote_rooms import Elsewhere, RemoteRooms
from palpo.services.rooms.room_overviews import Overview, Overviews
from palpo.services.rooms.space_rooms import CHILD, SPACE, SpaceRoom, child_order, is_child
from palpo.services.rooms.user_rooms import UserRooms
from palpo.storage import events as events_storage
from palpo.storage.memberships import Member
from palpo.streams.wakeups import Wakeups

DEFAULT_PAGE = 50
MAX_PAGE = 100
MAX_DEPTH = 50
"""A greater ``max_depth``, and none, is no limit."""
MAX_ROOMS = 5000
"""How much of a hierarchy can be paged through."""
_TOKEN = re.compile(r"h([0-9]{1,18})-([0-9]{1,6})-([01])-([0-9]{1,6}(?:\.[0-9]{1,6})*)")

Path = tuple[int, ...]
"""The way down to a room: at each step, which of the children. In the order of the walk, paths ascend."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchyPage:
    """One page of a hierarchy."""

    rooms: Sequence[SpaceRoom]
    next_batch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in a hierarchy a page starts, and how the hierarchy is walked."""

    position: int
    """Of the stream: the hierarchy is that of then."""
    max_depth: int
    suggested_only: bool
    after: Path | None = None
    """The last room of the page before; None for the first page."""

    def token(self, after: Path) -> str:
        path = ".".join(map(str, after))
        return f"h{self.position}-{self.max_depth}-{int(self.suggested_only)}-{path}"

    @property
    def limited(self) -> bool:
        """Whether some rooms may be too deep."""
        return self.max_depth < MAX_DEPTH


class RoomSummaries:
    """Shows rooms to those who are not, or not yet, in them."""

    def __init__(
        self,
        db: Database,
        events: EventStore,
        heads: RoomHeads,
        overviews: Overviews,
        user_rooms: UserRooms,
        wakeups: Wakeups,
        remote: RemoteRooms | None = None,
    ) -> None:
        """``remote`` asks about rooms that are not here; None where there is no federation."""
        self._remote = remote
        self._db = db
        self._wakeups = wakeups
        self._events = events
        self._heads = heads
        self._overviews = overviews
        self._user_rooms = user_rooms

    async def summary(
        self, user_id: UserId | None, room_id: RoomId, servers: Sequence[str] = ()
    ) -> tuple[Overview, str | None]:
        """A room's overview and the user's membership of it; raises NotFound to those it is hidden from.

        Of a room that is not here the ``servers`` are asked, on behalf of users of ours.
        """
        own = {} if user_id is None else await self._user_rooms.get(user_id)
        elsewhere = Elsewhere(None if user_id is None else self._remote)
        room = await self._from_anywhere(room_id, elsewhere, servers)
        if room is None or not _may_see(own, room.overview):
            raise NotFound("Room not found")
        return room.overview, _membership(own, room_id)

    async def room(self, room_id: RoomId, *, suggested_only: bool = False) -> SpaceRoom:
        """A room of this server and its children, whoever asks; raises NotFound."""
        head = await self._heads.get(room_id)
        overview = await self._overviews.get(room_id, head.state_root)
        named: Mapping[str | None, Event] = {}
        if overview.room_type == SPACE:
            named = await self._named(head.state_root, suggested_only=suggested_only)
        children = sorted(named.values(), key=child_order)
        return SpaceRoom(overview=overview, children=children, places=range(len(children)))

    async def hierarchy(
        self,
        user_id: UserId,
        room_id: RoomId,
        *,
        suggested_only: bool | None = None,
        max_depth: int | None = None,
        limit: int | None = None,
        start: str | None = None,
    ) -> HierarchyPage:
        """The rooms of a space, depth first, as far as the user may see them.

        Raises Forbidden where they may not see the space itself, InvalidParam.
        """
        place = _place(self._wakeups.position, start, suggested_only, max_depth)
        if limit is not None and limit < 1:
            raise InvalidParam("limit is not greater than zero")
        own = await self._user_rooms.get(user_id)
        walk = _Walk(self._visit, own, place, Elsewhere(self._remote, place.suggested_only))
        return await walk.page(room_id, min(limit or DEFAULT_PAGE, MAX_PAGE))

    async def _visit(
        self, own: Mapping[str, Member], room_id: RoomId, place: _Place, elsewhere: Elsewhere
    ) -> SpaceRoom | None:
        """A room of a hierarchy, None where it is unknown or hidden from the user."""
        if not await elsewhere.is_here(room_id):
            room = await self._from_anywhere(room_id, elsewhere)
            return room if room is not None and _may_see(own, room.overview) else None
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return None
        overview = await self._overviews.get(room_id, head.state_root)
        if not _may_see(own, overview):
            return None
        if overview.room_type != SPACE:
            return SpaceRoom(overview=overview, children=(), places=())
        current = await self._named(head.state_root, suggested_only=place.suggested_only)
        root = await self._root_at(head, place)
        then = current
        if root != head.state_root:
            then = await self._named(root, suggested_only=place.suggested_only)
        ordered = enumerate(sorted(then.values(), key=child_order))
        kept = [(number, current[key]) for number, event in ordered if (key := event.state_key) in current]
        return SpaceRoom(
            overview=overview,
            children=[event for _, event in kept],
            places=[number for number, _ in kept],
        )

    async def _from_anywhere(
        self, room_id: RoomId, elsewhere: Elsewhere, servers: Sequence[str] = ()
    ) -> SpaceRoom | None:
        """A room as it is known here, or, where nobody here is in it, as others show it if they do."""
        if not await elsewhere.is_here(room_id):
            room = await elsewhere.room(room_id, servers)
            if room is not None:
                return room
        try:
            return await self.room(room_id)
        except NotFound:
            return None

    async def _root_at(self, head: RoomHead, place: _Place) -> bytes:
        """The room's state when the first page was asked for."""
        if head.row.position <= place.position:
            return head.state_root
        last = await self._db.read(lambda tx: events_storage.last_id(tx, head.room_id, place.position))
        return head.state_root if last is None else (await self._events.get(last)).state_after

    async def _named(self, root: bytes, *, suggested_only: bool) -> dict[str | None, Event]:
        """The children in one state, by their ID."""
        state = await self._events.full_state(root, CHILD)
        events = [item.event for item in state.values() if is_child(item.event.content)]
        if suggested_only:
            events = [event for event in events if event.content.get("suggested") is True]
        return {event.state_key: event for event in events}


Visit = Callable[[Mapping[str, Member], RoomId, _Place, Elsewhere], Awaitable[SpaceRoom | None]]


class _Walk:
    """One walk through a hierarchy, depth first, for one user."""

    def __init__(self, visit: Visit, own: Mapping[str, Member], place: _Place, elsewhere: Elsewhere) -> None:
        self._visit = visit
        self._elsewhere = elsewhere
        self._own = own
        self._place = place
        self._visited: dict[str, SpaceRoom | None] = {}
        self._size = 0
        """Rooms of the page."""

    async def page(self, root: RoomId, size: int) -> HierarchyPage:
        """The next ``size`` rooms; raises Forbidden where the user may not see the first of all."""
        self._size = size
        if await self._room(root) is None:
            raise Forbidden("You are not allowed to view this room")
        depths = await self._depths(root) if self._place.limited else {}
        found: list[SpaceRoom] = []
        seen: set[str] = set()
        last: Path = ()
        waiting: list[tuple[RoomId, Path]] = [(root, (0,))]
        while waiting:
            room_id, path = waiting.pop()
            if room_id in seen or len(seen) > MAX_ROOMS:
                continue
            room = await self._room(room_id)
            if room is None:
                continue
            if self._place.after is None or path > self._place.after:
                if len(found) == size:
                    return HierarchyPage(rooms=found, next_batch=self._place.token(last))
                found.append(room)
                last = path
            seen.add(room_id)
            if not self._place.limited or depths[room_id] < self._place.max_depth:
                below = [
                    (RoomId(child.state_key or ""), (*path, number))
                    for number, child in zip(room.places, room.children, strict=True)
                ]
                waiting.extend(reversed(below))
        return HierarchyPage(rooms=found, next_batch=None)

    async def _depths(self, root: RoomId) -> dict[RoomId, int]:
        """How deep each room is, by the shortest way to it, as far as is wanted."""
        depths = {root: 0}
        level = [root]
        for depth in range(1, self._place.max_depth + 1):
            rooms = [room for room_id in level if (room := await self._room(room_id)) is not None]
            children = (child for room in rooms for child in room.children)
            level = list(dict.fromkeys(RoomId(child.state_key or "") for child in children))
            level = [room_id for room_id in level if room_id not in depths][: MAX_ROOMS + 1 - len(depths)]
            depths |= dict.fromkeys(level, depth)
        return depths

    async def _room(self, room_id: RoomId) -> SpaceRoom | None:
        if room_id not in self._visited:
            room = await self._visit(self._own, room_id, self._place, self._elsewhere)
            self._visited[room_id] = room
            if room is not None:
                await self._elsewhere.learn(room.children, self._size)
        return self._visited[room_id]


def _membership(own: Mapping[str, Member], room_id: str) -> str | None:
    return own[room_id].membership if room_id in own else None


def _may_see(own: Mapping[str, Member], room: Overview) -> bool:
    """Whether somebody with the memberships ``own`` may see a room (spec: ``/hierarchy``, ``rooms``)."""
    membership = _membership(own, room.room_id)
    if membership in (JOIN, INVITE):
        return True
    if membership == BAN:
        return False
    if room.world_readable or room.knockable or room.join_rule == "public":
        return True
    return any(_membership(own, room_id) == JOIN for room_id in room.allowed_room_ids or ())


def _place(position: int, start: str | None, suggested_only: bool | None, max_depth: int | None) -> _Place:
    if max_depth is not None and max_depth < 0:
        raise InvalidParam("max_depth is negative")
    depth = None if max_depth is None else min(max_depth, MAX_DEPTH)
    if start is None:
        return _Place(
            position=position,
            max_depth=MAX_DEPTH if depth is None else depth,
            suggested_only=bool(suggested_only),
        )
    match = _TOKEN.fullmatch(start)
    if match is None or int(match[2]) > MAX_DEPTH:
        raise InvalidParam("Not a token of a hierarchy")
    place = _Place(
        position=int(match[1]),
        max_depth=int(match[2]),
        suggested_only=match[3] == "1",
        after=tuple(int(step) for step in match[4].split(".")),
    )
    if depth not in (None, place.max_depth) or suggested_only not in (None, place.suggested_only):
        raise InvalidParam("suggested_only and max_depth cannot change on paginated requests")
    return place
