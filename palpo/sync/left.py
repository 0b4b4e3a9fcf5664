"""Collects what a user is still told of rooms that they have left."""

from __future__ import annotations

from dataclasses import replace

from palpo.core.state_tree import EMPTY_ROOT
from palpo.services.event_store import EventStore
from palpo.storage.events import StoredEvent
from palpo.storage.memberships import Membership
from palpo.sync.joined import Reader, RoomNews, wanted
from palpo.sync.state_delta import MEMBER, StateDeltas, StateRequest
from palpo.sync.timelines import Timelines
from palpo.sync.window import Window

LEFT = ("leave", "ban")


class LeftRooms:
    """Timelines and state up to the moment of leaving."""

    def __init__(self, store: EventStore, timelines: Timelines, states: StateDeltas) -> None:
        self._store = store
        self._timelines = timelines
        self._states = states

    async def collect(self, reader: Reader, window: Window, membership: Membership) -> RoomNews:
        """What happened until the user left, which was in ``window``; the leaving is always told."""
        leaving = await self._store.get(membership.event_id)
        known = await self._known_root(window, membership)
        was_in = known is not None or await self._was_in(leaving)
        timeline = await self._timelines.latest(
            membership.room_id,
            reader.user_id,
            after=0 if was_in and known is None else window.after,
            upto=membership.position,
            limit=reader.filter.timeline_limit,
            wanted=wanted(reader),
        )
        filter_ = reader.filter
        shows_leaving = filter_.timeline_limit > 0 and (
            filter_.timeline is None or filter_.timeline(leaving.event)
        )
        if not timeline.events and shows_leaving:
            place = (leaving.event.depth, leaving.position - 1)
            timeline = replace(timeline, events=[leaving], limited=False, start=place)
        request = StateRequest(
            room_id=membership.room_id,
            user_id=reader.user_id,
            device=reader.device,
            known=known or EMPTY_ROOT,
            end=leaving.state_after,
            timeline=timeline,
            window=window,
            state_after=reader.state_after,
        )
        state = await self._states.delta(request, reader.filter) if was_in else []
        return RoomNews(room_id=membership.room_id, timeline=timeline, state=state, end=leaving.state_after)

    async def _known_root(self, window: Window, membership: Membership) -> bytes | None:
        """Root of the state that the client knows of, None if it did not know it was in the room."""
        if window.since is None:
            return None
        root = await self._timelines.state_root(membership.room_id, window.since)
        if root is None:
            return None
        own = await self._store.state_event(root, MEMBER, membership.user_id)
        return root if own is not None and own.event.content.get("membership") == "join" else None

    async def _was_in(self, leaving: StoredEvent) -> bool:
        """Whether the user was in the room just before leaving it, rather than invited."""
        before = await self._store.state_event(leaving.state_before, MEMBER, leaving.event.state_key or "")
        return before is not None and before.event.content.get("membership") == "join"
