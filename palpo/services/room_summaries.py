"""Summaries of rooms and of spaces, for those who may join them.

Spec: client-server API, "Room summary" and "Spaces" (``/hierarchy``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core.errors import Forbidden, InvalidParam, NotFound
from palpo.core.events import Event
from palpo.core.identifiers import parse_room_id
from palpo.services.event_store import EventStore
from palpo.services.room_heads import RoomHead, RoomHeads
from palpo.services.room_overviews import Overview, Overviews
from palpo.services.user_rooms import UserRooms
from palpo.storage.memberships import Membership

CHILD = "m.space.child"
SPACE = "m.space"
DEFAULT_PAGE = 50
MAX_PAGE = 100
MAX_DEPTH = 50
MAX_ROOMS = 5000
"""How much of a hierarchy can be paged through."""
_ORDER = re.compile(r"[\x20-\x7e]{1,50}")
_TOKEN = re.compile(r"h([0-9]{1,6})-([0-9]{1,6})-([01])")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceRoom:
    """A room of a hierarchy, and the children that it names."""

    overview: Overview
    children: Sequence[Event]


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchyPage:
    """One page of a hierarchy."""

    rooms: Sequence[SpaceRoom]
    next_batch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in a hierarchy a page starts, and how the hierarchy is walked."""

    offset: int
    max_depth: int
    suggested_only: bool

    def token(self) -> str:
        return f"h{self.offset}-{self.max_depth}-{int(self.suggested_only)}"


class RoomSummaries:
    """Shows rooms to those who are not, or not yet, in them."""

    def __init__(
        self,
        events: EventStore,
        heads: RoomHeads,
        overviews: Overviews,
        user_rooms: UserRooms,
    ) -> None:
        self._events = events
        self._heads = heads
        self._overviews = overviews
        self._user_rooms = user_rooms

    async def summary(self, user_id: str | None, room_id: str) -> tuple[Overview, str | None]:
        """A room's overview and the user's membership of it; raises NotFound to those it is hidden from."""
        parse_room_id(room_id)
        head = await self._heads.get(room_id)
        overview = await self._overviews.get(room_id, head.state_root)
        own = {} if user_id is None else await self._user_rooms.get(user_id)
        if not _may_see(own, overview):
            raise NotFound("Room not found")
        return overview, _membership(own, room_id)

    async def hierarchy(
        self,
        user_id: str,
        room_id: str,
        *,
        suggested_only: bool | None = None,
        max_depth: int | None = None,
        limit: int | None = None,
        start: str | None = None,
    ) -> HierarchyPage:
        """The rooms of a space, depth first, as far as the user may see them.

        Raises Forbidden where they may not see the space itself, InvalidParam.
        """
        place = _place(start, suggested_only, max_depth)
        if limit is not None and limit < 1:
            raise InvalidParam("limit is not greater than zero")
        size = min(limit or DEFAULT_PAGE, MAX_PAGE)
        end = place.offset + size
        rooms = await self._walk(user_id, room_id, place, end + 1)
        more = len(rooms) > end and end < MAX_ROOMS
        following = _Place(offset=end, max_depth=place.max_depth, suggested_only=place.suggested_only)
        return HierarchyPage(rooms=rooms[place.offset : end], next_batch=following.token() if more else None)

    async def _walk(self, user_id: str, root: str, place: _Place, enough: int) -> list[SpaceRoom]:
        """The first ``enough`` rooms of a hierarchy."""
        own = await self._user_rooms.get(user_id)
        found: list[SpaceRoom] = []
        seen: set[str] = set()
        waiting = [(root, 0)]
        while waiting and len(found) < enough:
            room_id, depth = waiting.pop()
            if room_id in seen or len(seen) > MAX_ROOMS:
                continue
            seen.add(room_id)
            room = await self._visit(own, room_id, suggested_only=place.suggested_only)
            if room is None:
                if depth == 0:
                    raise Forbidden("You are not allowed to view this room")
                continue
            found.append(room)
            if depth < place.max_depth:
                waiting.extend((child.state_key or "", depth + 1) for child in reversed(room.children))
        return found

    async def _visit(
        self, own: Mapping[str, Membership], room_id: str, *, suggested_only: bool
    ) -> SpaceRoom | None:
        """A room of a hierarchy, None where it is unknown or hidden from the user."""
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return None
        overview = await self._overviews.get(room_id, head.state_root)
        if not _may_see(own, overview):
            return None
        children: list[Event] = []
        if overview.room_type == SPACE:
            children = await self._children(head, suggested_only=suggested_only)
        return SpaceRoom(overview=overview, children=children)

    async def _children(self, head: RoomHead, *, suggested_only: bool) -> list[Event]:
        state = await self._events.full_state(head.state_root, CHILD)
        events = [item.event for item in state.values() if _is_child(item.event.content)]
        if suggested_only:
            events = [event for event in events if event.content.get("suggested") is True]
        return sorted(events, key=_child_order)


def _membership(own: Mapping[str, Membership], room_id: str) -> str | None:
    return own[room_id].membership if room_id in own else None


def _may_see(own: Mapping[str, Membership], room: Overview) -> bool:
    """Whether somebody with the memberships ``own`` may see a room (spec: ``/hierarchy``, ``rooms``)."""
    membership = _membership(own, room.room_id)
    if membership in ("join", "invite"):
        return True
    if membership == "ban":
        return False
    if room.world_readable or room.knockable or room.join_rule == "public":
        return True
    return any(_membership(own, room_id) == "join" for room_id in room.allowed_room_ids or ())


def _is_child(content: dict[str, Any]) -> bool:
    """Whether an ``m.space.child`` event names a child: without servers to ask it does not."""
    via = content.get("via")
    return isinstance(via, list) and bool(via) and all(isinstance(server, str) for server in via)


def _child_order(event: Event) -> tuple[bool, str, int, str]:
    """Children with a valid ``order`` first, then older ones (spec: "Ordering of children")."""
    order = event.content.get("order")
    valid = isinstance(order, str) and _ORDER.fullmatch(order) is not None
    return not valid, str(order) if valid else "", event.origin_server_ts, event.state_key or ""


def _place(start: str | None, suggested_only: bool | None, max_depth: int | None) -> _Place:
    if max_depth is not None and max_depth < 0:
        raise InvalidParam("max_depth is negative")
    depth = None if max_depth is None else min(max_depth, MAX_DEPTH)
    if start is None:
        return _Place(
            offset=0, max_depth=MAX_DEPTH if depth is None else depth, suggested_only=bool(suggested_only)
        )
    match = _TOKEN.fullmatch(start)
    if match is None:
        raise InvalidParam("Not a token of a hierarchy")
    place = _Place(offset=int(match[1]), max_depth=int(match[2]), suggested_only=match[3] == "1")
    if place.offset > MAX_ROOMS or place.max_depth > MAX_DEPTH:
        raise InvalidParam("Not a token of a hierarchy")
    if depth not in (None, place.max_depth) or suggested_only not in (None, place.suggested_only):
        raise InvalidParam("suggested_only and max_depth cannot change on paginated requests")
    return place
