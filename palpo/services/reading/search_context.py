"""What is told beside the results of a search: what was said around them, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from palpo.core.errors import Forbidden
from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_access import RoomAccess
from palpo.services.history.tokens import Place
from palpo.services.history.visibility import FOREVER
from palpo.services.reading.timeline import BEGINNING, Query, Timeline, place_after
from palpo.services.rooms.member_profiles import PROFILE_KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The events around a result, and the places where reading goes on."""

    before: list[StoredEvent]
    """The newest first."""
    after: list[StoredEvent]
    start: Place
    end: Place


class SearchContext:
    """Reads the surroundings of results."""

    def __init__(self, events: EventStore, access: RoomAccess, timeline: Timeline) -> None:
        self._events = events
        self._access = access
        self._timeline = timeline

    async def around(self, item: StoredEvent, user_id: UserId, *, before: int, after: int) -> Around:
        """Up to so many events before and after one, as far as the user may see them."""
        room_id = item.event.room_id
        back = Query(room_id=room_id, user_id=user_id, backwards=True, limit=before)
        on = Query(room_id=room_id, user_id=user_id, backwards=False, limit=after)
        earlier = await self._timeline.walk(back, place_after(item, backwards=True), BEGINNING)
        later = await self._timeline.walk(on, item.order, FOREVER)
        return Around(before=earlier.events, after=later.events, start=earlier.end, end=later.end)

    async def profiles(self, item: StoredEvent, around: Around) -> dict[str, dict[str, Any]]:
        """The senders' profiles at the time of a result."""
        senders = {event.event.sender for event in [item, *around.before, *around.after]}
        keys = [(MEMBER, sender) for sender in sorted(senders)]
        members = await self._events.state_events(item.state_after, keys)
        return {key[1]: _profile(members[key].event.content) for key in keys if key in members}

    async def state(self, room_id: RoomId, user_id: UserId) -> list[StoredEvent]:
        """The newest state of a room that the user may see; empty where there is none."""
        try:
            root = await self._access.visible_root(room_id, user_id)
        except Forbidden:
            return []
        return list((await self._events.full_state(root)).values())

    async def states(self, room_ids: Iterable[RoomId], user_id: UserId) -> dict[str, list[StoredEvent]]:
        """The states of several rooms."""
        return {room_id: await self.state(room_id, user_id) for room_id in dict.fromkeys(room_ids)}


def _profile(content: dict[str, Any]) -> dict[str, Any]:
    return {key: content[key] for key in PROFILE_KEYS if isinstance(content.get(key), str)}
