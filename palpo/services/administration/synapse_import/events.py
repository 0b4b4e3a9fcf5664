"""Rooms with all their events, each judged anew by what comes before it.

What Synapse has fetched of the past comes first, room by room, and then all else in the order of its stream.
So each comes after those before it, and rooms are in the order in which something last happened in them.
Where events before one are missing, Synapse says the state before it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from msgspec.structs import replace

from palpo.core.admission import Missing
from palpo.core.canonical_json import decode_object
from palpo.core.errors import AuthError, BadJson, NotFound
from palpo.core.event_hashes import encoder_again
from palpo.core.events import SignedEvent
from palpo.core.records.events import Check, EventStatus, Refusal
from palpo.core.redaction import redact
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import CREATE
from palpo.core.state_tree import EMPTY_ROOT
from palpo.db.engine import Database
from palpo.services.administration.synapse_import.steps import Batch, Source, Step
from palpo.services.administration.synapse_import.their_rooms import TheirRooms, signed
from palpo.services.history.admission import Admission, Admitted
from palpo.services.history.beginnings import Beginnings
from palpo.services.history.room_heads import RoomHead
from palpo.services.history.room_writer import RoomWriter
from palpo.services.history.state_import import StateImport
from palpo.storage import events as our_events
from palpo.storage import rooms as our_rooms
from palpo.storage.rooms import HeadRow
from palpo.storage.synapse import events as storage
from palpo.storage.synapse.events import TheirEvent

log = structlog.get_logger("palpo.import")

BATCH = 500
SHOWN = (EventStatus.ACCEPTED, EventStatus.HIDDEN)
SOFT_FAILED = Refusal(Check.CURRENT_STATE, "It was soft-failed when it came, as Synapse says")


@dataclass(slots=True, kw_only=True)
class _Room:
    """Some events of a room that are on their way in."""

    room_id: str
    rules: RoomVersion
    left: list[SignedEvent]
    soft_failed: set[str]
    states: dict[str, bytes] = field(default_factory=dict)
    """The states before those that follow a gap."""
    rested: set[str] = field(default_factory=set)
    """Those for which auth events were looked for."""
    missing: Missing | None = None

    def stuck(self) -> SignedEvent | None:
        """The event that waits for what is missing."""
        if self.missing is None:
            return None
        auth, before = set(self.missing.auth_events), set(self.missing.prev_events)
        for event in self.left:
            if auth <= {*event.auth_events} and before <= {*event.prev_events}:
                return event
        return None


class EventStep(Step):
    """Events, with the states of their rooms."""

    name = "events"

    def __init__(
        self,
        source: Source,
        theirs: TheirRooms,
        db: Database,
        writer: RoomWriter,
        admission: Admission,
        beginnings: Beginnings,
        states: StateImport,
    ) -> None:
        self._source = source
        self._db = db
        self._writer = writer
        self._admission = admission
        self._beginnings = beginnings
        self._states = states
        self._theirs = theirs

    async def count(self) -> int:
        return await self._source.db.read(storage.count)

    async def batches(self, after: Any) -> AsyncIterator[Batch]:
        async for page, key in self._pages(after):
            await self._take(page)
            yield Batch(after=key, rows=len(page))

    async def _pages(self, after: Any) -> AsyncIterator[tuple[list[TheirEvent], Any]]:
        """Events, and where they end: ``[room, depth, ordering]`` in the past, and then the ordering."""
        if not isinstance(after, int):
            key = storage.NONE_YET if after is None else (after[0], after[1], after[2])
            while page := await self._source.db.read(partial(storage.past, key=key, limit=BATCH)):
                key = (page[-1].room_id, page[-1].depth, page[-1].ordering)
                yield page, list(key)
        at = after if isinstance(after, int) else -1
        while page := await self._source.db.read(partial(storage.after, ordering=at, limit=BATCH)):
            at = page[-1].ordering
            yield page, at

    async def differences(self) -> AsyncIterator[str]:
        """Each event's bytes, and whether it is shown."""
        async for page, _ in self._pages(None):
            theirs = {item.event_id: item for item in page if not item.outlier}
            rejected = await self._source.db.read(partial(storage.rejected, ids=theirs))
            rules = await self._theirs.rules({item.room_id for item in theirs.values()})
            ours = await self._db.read(partial(our_events.statuses, ids=theirs))
            pdus = await self._db.read(partial(our_events.load_pdus, ids=theirs))
            for name, item in theirs.items():
                shown = name not in rejected and not item.soft_failed
                status = ours.get(name)
                if item.room_id not in rules:
                    yield f"{name}: {item.room_id} is of a version that is not known here"
                elif status is None:
                    if shown:
                        yield f"{name} of {item.room_id} is not here"
                elif shown != (status in SHOWN):
                    yield f"{name} of {item.room_id} is {status.name.lower()} here"
                elif not _is_same(rules[item.room_id], item, pdus[name]):
                    yield f"{name} of {item.room_id} has other bytes"

    async def _take(self, page: Sequence[TheirEvent]) -> None:
        """Take in events of several rooms, that room last in which something came last."""
        rooms: dict[str, list[TheirEvent]] = {}
        for item in page:
            if not item.outlier:
                rooms.setdefault(item.room_id, []).append(item)
        rules = await self._theirs.rules(rooms)
        # In a page of the past they are in order already.
        for room_id in sorted(rules, key=lambda name: max(0, rooms[name][-1].ordering)):
            items = rooms[room_id]
            known = await self._db.read(partial(our_events.statuses, ids=[item.event_id for item in items]))
            new = [
                item for item in items if known.get(item.event_id, EventStatus.OUTLIER) is EventStatus.OUTLIER
            ]
            room = _Room(
                room_id=room_id,
                rules=rules[room_id],
                left=[signed(rules[room_id], item) for item in new],
                soft_failed={item.event_id for item in new if item.soft_failed},
            )
            await self._take_room(room)

    async def _take_room(self, room: _Room) -> None:
        while room.left:
            if not await self._has_begun(room):
                await self._begin(room)
                continue
            room.missing = None
            builds = partial(self._admission.build, events=room.left, states=room.states)
            written = await self._writer.admit(
                room.room_id, partial(self._build, room, builds, unsigned=room.soft_failed)
            )
            names = {item.event_id for item in written}
            room.left = [event for event in room.left if event.event_id not in names]
            stuck = room.stuck()
            if stuck is None:
                if not written:
                    return
            elif not await self._help(room, stuck, room.missing):
                self._leave_out(room, stuck, "what it rests on is not there")

    async def _build(self, room: _Room, builds: Any, head: RoomHead, *, unsigned: set[str]) -> Admitted:
        built: Admitted = await builds(head, unsigned=unsigned)
        room.missing = built.missing
        built.events = [
            replace(new, refusal=SOFT_FAILED)
            if new.status is EventStatus.SOFT_FAILED and new.event.event_id in unsigned
            else new
            for new in built.events
        ]
        return built

    async def _has_begun(self, room: _Room) -> bool:
        head = await self._db.read(partial(our_rooms.load_head, room_id=room.room_id))
        return head is not None and bool(head.extremities)

    async def _begin(self, room: _Room) -> None:
        """Begin the room with the first of its events."""
        first = room.left[0]
        try:
            if first.type == CREATE[0]:
                await self._create(room, first)
            else:
                await self._join(room, first)
        except (AuthError, BadJson, NotFound) as error:
            self._leave_out(room, first, error.message)
            return
        room.left = room.left[1:]

    async def _create(self, room: _Room, create: SignedEvent) -> None:
        row = HeadRow(
            room_id=create.room_id,
            version=room.rules.id,
            create_event_id=create.event_id,
            head=0,
            extremities=(),
            depth=0,
            state_root=EMPTY_ROOT,
        )
        await self._db.write(partial(our_rooms.add, room=row))
        states = {create.event_id: EMPTY_ROOT}
        await self._writer.admit(room.room_id, partial(self._admission.build, events=[create], states=states))

    async def _join(self, room: _Room, event: SignedEvent) -> None:
        root = await self._root_before(room, event)
        if root is None:
            raise NotFound("Synapse has no state before it")
        await self._writer.admit(room.room_id, partial(self._beginnings.build, event=event, before=root))

    async def _help(self, room: _Room, stuck: SignedEvent, missing: Missing | None) -> bool:
        """Have there be what an event waits for; whether anything was done about it."""
        assert missing is not None
        name = stuck.event_id
        if missing.auth_events and name not in room.rested:
            room.rested.add(name)
            await self._store_auth(room, stuck)
            return True
        if missing.prev_events and name not in room.states:
            root = await self._root_before(room, stuck)
            if root is not None:
                room.states[name] = root
                return True
        return False

    async def _root_before(self, room: _Room, event: SignedEvent) -> bytes | None:
        """Store the state before an event, and all that this and the event rest on."""
        state = await self._theirs.state_before(room.rules, event)
        if state is None:
            return None
        chain = await self._theirs.auth_chain(room.rules, [*state.values(), *event.auth_events])
        given = [chain[name] for name in state.values() if name in chain]
        return await self._states.store(room.rules, room.room_id, given, list(chain.values()))

    async def _store_auth(self, room: _Room, event: SignedEvent) -> None:
        chain = await self._theirs.auth_chain(room.rules, event.auth_events)
        create = [item for item in chain.values() if item.type == CREATE[0]]
        try:
            await self._states.store(room.rules, room.room_id, create, list(chain.values()))
        except BadJson as error:
            log.warning("auth_events_unfit", event_id=event.event_id, error=error.message)

    def _leave_out(self, room: _Room, event: SignedEvent, reason: str) -> None:
        """An event that cannot be judged; what comes after it may be all the same."""
        log.warning("event_left_out", room_id=room.room_id, event_id=event.event_id, reason=reason)
        room.left.remove(event)


def _is_same(rules: RoomVersion, theirs: TheirEvent, ours: bytes) -> bool:
    """Whether they are equal, or would be once what was redacted is taken out of both."""
    expected, found = signed(rules, theirs).pdu, decode_object(ours)
    encode = encoder_again(rules)
    return encode(expected) == encode(found) or encode(redact(rules, expected)) == encode(found)
