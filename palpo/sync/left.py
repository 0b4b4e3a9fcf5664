"""Collects what a user is still told of rooms that they have left."""

from __future__ import annotations

from dataclasses import dataclass, replace

from palpo.core.errors import NotFound
from palpo.core.membership import INVITE, JOIN, KNOCK
from palpo.core.records.events import StoredEvent
from palpo.core.state_tree import EMPTY_ROOT
from palpo.services.history.event_store import EventStore
from palpo.services.history.outside_memberships import OutsideMemberships
from palpo.services.history.room_access import RoomAccess
from palpo.storage.memberships import Member
from palpo.sync.joined import Reader, V3RoomNews, wanted
from palpo.sync.state_delta import StateDeltas, StateRequest
from palpo.sync.timelines import TimelinePart, Timelines
from palpo.sync.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """How somebody left a room, and what they see of it."""

    timeline: TimelinePart
    known: bytes | None
    """Root of the state that the client knows of, None if it did not know it was in the room."""
    end: bytes
    """Root of the state that was left behind."""
    shown: bool
    """Whether the state is the user's to see and news to the client."""


class LeftRooms:
    """Timelines and state up to the moment of leaving."""

    def __init__(
        self,
        store: EventStore,
        outside: OutsideMemberships,
        timelines: Timelines,
        states: StateDeltas,
        access: RoomAccess,
    ) -> None:
        self._store = store
        self._outside = outside
        self._timelines = timelines
        self._states = states
        self._access = access

    async def collect(self, reader: Reader, window: Window, membership: Member) -> V3RoomNews:
        """What happened until the user left."""
        left = await self.departure(reader, window, membership)
        state: list[StoredEvent] = []
        if left.shown:
            request = StateRequest(
                room_id=membership.room_id,
                user_id=reader.user_id,
                client=reader.client,
                known=left.known or EMPTY_ROOT,
                end=left.end,
                timeline=left.timeline,
                window=window,
                state_after=reader.state_after,
            )
            state = await self._states.delta(request, reader.filter)
        return V3RoomNews(room_id=membership.room_id, timeline=left.timeline, state=state, end=left.end)

    async def departure(self, reader: Reader, window: Window, membership: Member) -> Departure:
        """How the user left, or what became of them after; ``membership`` changed in ``window``.

        The last change need not be the leaving: who has left may be banned, or turn down an invitation.
        It is always told, but of the state they see what they left behind.
        """
        last = await self._store.find(membership.event_id)
        if last is None and (outside := await self._outside.event(membership)) is not None:
            return _from_outside(reader, outside)
        if last is None:
            raise NotFound("Event not found")
        leaving = await self._access.left_by(membership)
        known = await self._timelines.joined_root(membership, window.since)
        fresh = known is None and leaving is not None and leaving.position > window.after
        timeline = await self._timeline(reader, window, last, after=0 if fresh else window.after)
        if leaving is not None and timeline.events and timeline.events[0].position > leaving.position:
            # The state before the timeline is not theirs to see.
            timeline = replace(timeline, complete=False)
        return Departure(
            timeline=timeline,
            known=known,
            end=(leaving or last).state_after,
            shown=leaving is not None and (known is not None or fresh),
        )

    async def _timeline(
        self, reader: Reader, window: Window, last: StoredEvent, *, after: int
    ) -> TimelinePart:
        filter_ = reader.filter
        timeline = await self._timelines.latest(
            last.event.room_id,
            reader.user_id,
            after=after,
            upto=last.position,
            limit=filter_.timeline_limit,
            wanted=wanted(reader),
        )
        if not timeline.events and _shows(reader, last):
            timeline = replace(timeline, events=[last], limited=False, before=last.position - 1)
        return timeline

    async def is_news(self, reader: Reader, window: Window, membership: Member) -> bool:
        """Whether the user is to hear that they are not in a room, which they may have forgotten.

        If they are banned, say, from a room that they had forgotten, they do not (spec: "Leaving rooms").
        From the first sync on they hear of rooms that they have been kicked or banned from: a client may not
        have been there when it happened.
        """
        if window.initial and not reader.filter.include_leave:
            kicked = not membership.forgotten and membership.sender != membership.user_id
            return kicked and await self._access.left_by(membership) is not None
        if not membership.forgotten or window.since is None:
            return True
        _, before = await self._timelines.membership_at(membership, window.since)
        return before in (JOIN, INVITE, KNOCK)


def _shows(reader: Reader, last: StoredEvent) -> bool:
    """Whether the filter lets the event through by which the user left."""
    filter_ = reader.filter
    return filter_.timeline_limit > 0 and (filter_.timeline is None or filter_.timeline(last.event))


def _from_outside(reader: Reader, last: StoredEvent) -> Departure:
    """What there is of a room that is not here: the event that says that the user is not in it."""
    timeline = TimelinePart(
        events=[last] if _shows(reader, last) else [],
        limited=False,
        before=last.position - 1,
        complete=True,
    )
    return Departure(timeline=timeline, known=None, end=EMPTY_ROOT, shown=False)
