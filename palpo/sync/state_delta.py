"""Which state events bring a client's picture of a room up to date."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from palpo.core import state_tree
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.core.state_tree import EMPTY_ROOT
from palpo.services.history.event_store import EventStore, State
from palpo.sync.claimed_members import claimed_members
from palpo.sync.filters import SyncFilter
from palpo.sync.members import Client, SentMembers, member_pairs
from palpo.sync.outlines import Outlines
from palpo.sync.timelines import TimelinePart
from palpo.sync.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class StateRequest:
    """Whose picture of which room is to be brought from one state to another."""

    room_id: str
    user_id: str
    client: Client
    known: bytes
    """Root of the state that the client knows: EMPTY_ROOT if none."""
    end: bytes
    """Root of the state after the timeline."""
    timeline: TimelinePart
    window: Window
    state_after: bool
    """The state is wanted after the timeline, not before it (MSC4222)."""
    partial: bool = False
    """Members are missing in it (MSC3902)."""
    made_whole: bool = False
    """Members were missing in it as the client knows it."""


class StateDeltas:
    """Works out state sections."""

    def __init__(self, store: EventStore, outlines: Outlines, sent: SentMembers) -> None:
        self._store = store
        self._outlines = outlines
        self._sent = sent

    async def delta(self, request: StateRequest, filter_: SyncFilter) -> list[StoredEvent]:
        """The state events that the client is missing, filtered, members lazily where asked."""
        timeline, first = request.timeline, request.known == EMPTY_ROOT
        if first:
            self._sent.forget(request.client, request.room_id)
        start = timeline.events[0].state_before if timeline.events else request.end
        target = start if not request.state_after and _leads_on(request) else request.end
        named = _named(request) if filter_.lazy_members else None
        # A client that knows the room is told of every member who has changed, be they named or not.
        if first and named is not None:
            changed = await self._outlines.get(request.room_id, target)
        elif named is not None and request.made_whole:
            changed = await self._without_new_members(request.known, target)
        else:
            changed = await self._store.changed_state(request.known, target)
        if named is not None:
            changed = await self._lazy(request, filter_, changed, target, named)
        if not request.state_after:
            shown = {item.event_id for item in timeline.events}
            changed = {key: item for key, item in changed.items() if item.event_id not in shown}
        wanted = filter_.state
        return [item for item in changed.values() if wanted is None or wanted(item.event)]

    async def _without_new_members(self, known: bytes, target: bytes) -> State:
        """What is set in another way than is known, but for members of whom nothing is known."""
        ids = {key: name for key, name in (await self._store.changed_ids(known, target)).items() if name}
        members = [key for key in ids if key[0] == MEMBER]
        there = await self._store.read_state(state_tree.get_many(known, members))
        return await self._store.events_of(
            {key: name for key, name in ids.items() if key[0] != MEMBER or key in there}
        )

    async def missing_members(
        self, client: Client, room_id: str, root: bytes, users: Iterable[str], window: Window
    ) -> list[StoredEvent]:
        """The member events of ``users``, where the client does not know them; it does from now on."""
        members = await self._store.state_events(root, [(MEMBER, user_id) for user_id in users])
        pairs = [(key[1], item.event_id) for key, item in members.items()]
        unsent = self._sent.unsent(client, room_id, pairs, since=window.after)
        self._sent.mark(client, room_id, pairs, upto=window.upto)
        return [item for key, item in members.items() if key[1] in unsent]

    async def _lazy(
        self, request: StateRequest, filter_: SyncFilter, changed: State, target: bytes, named: set[str]
    ) -> State:
        """``changed``, and those members of whom the timeline ``named`` that the client does not know."""
        keys = [(MEMBER, user_id) for user_id in sorted(named)]
        members = await self._store.state_events(target, keys)
        if request.partial:
            missing = named - {key[1] for key in members}
            members |= await claimed_members(self._store, request.timeline.events, missing)
        pairs = [(key[1], item.event_id) for key, item in members.items()]
        if not filter_.include_redundant_members:
            unsent = self._sent.unsent(request.client, request.room_id, pairs, since=request.window.after)
            members = {key: item for key, item in members.items() if key[1] in unsent}
        told = [*pairs, *member_pairs(changed.values()), *member_pairs(request.timeline.events)]
        self._sent.mark(request.client, request.room_id, told, upto=request.window.upto)
        return changed | members


def _leads_on(request: StateRequest) -> bool:
    """Whether the timeline by itself leads from the state before it to the one at the end.

    It does not where something is left out of it, and where the state has become what no event of it says: a
    room may have forks, whose states come to one that neither had.
    """
    timeline = request.timeline
    if not timeline.complete or not timeline.events:
        return False
    root = timeline.events[0].state_before
    if not timeline.limited and request.known not in (EMPTY_ROOT, root):
        return False
    for item in timeline.events:
        if item.state_before != root or item.state_after != item.room_state:
            return False
        root = item.room_state
    return root == request.end


def _named(request: StateRequest) -> set[str]:
    """Whose member events lazy loading wants: the timeline's senders', and at first the reader's own."""
    named: set[str] = {item.event.sender for item in request.timeline.events}
    return named | {request.user_id} if request.known == EMPTY_ROOT else named
