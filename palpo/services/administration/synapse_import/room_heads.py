"""Where rooms are now: their states and their ends have to be what Synapse says, whatever ours came to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from msgspec.structs import replace

from palpo.core import state_tree
from palpo.core.events import StateKey
from palpo.core.records.events import EventStatus
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.administration.synapse_import.steps import Batch, Source, Step
from palpo.services.history.admission import Admission, Admitted
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHead
from palpo.services.history.room_writer import RoomWriter
from palpo.services.history.state_import import StateImport
from palpo.storage import events as our_events
from palpo.storage import memberships as our_memberships
from palpo.storage import rooms as our_rooms
from palpo.storage.rooms import HeadRow
from palpo.storage.synapse import events as their_events
from palpo.storage.synapse.rooms import ROOMS

BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class _Both:
    """A room here and there."""

    head: HeadRow
    ours: dict[StateKey, str]
    theirs: dict[StateKey, str]
    """Empty where Synapse does not follow the room any more."""
    ends: tuple[str, ...]
    """Theirs, as far as they are here, and ours where none is."""

    @property
    def is_same(self) -> bool:
        """Whether nothing has to be changed."""
        return self.theirs in ({}, self.ours) and sorted(self.ends) == sorted(self.head.extremities)


class RoomHeadStep(Step):
    """The heads of all rooms."""

    name = "current states of rooms"

    def __init__(
        self,
        source: Source,
        db: Database,
        store: EventStore,
        writer: RoomWriter,
        admission: Admission,
        states: StateImport,
    ) -> None:
        self._source = source
        self._db = db
        self._store = store
        self._writer = writer
        self._admission = admission
        self._states = states

    async def count(self) -> int:
        return await self._source.db.read(ROOMS.count)

    async def batches(self, after: Any) -> AsyncIterator[Batch]:
        while rows := await self._source.db.read(partial(ROOMS.page, after=after, limit=BATCH)):
            for room_id, *_ in rows:
                await self._take(room_id)
            after = ROOMS.key(rows[-1])
            yield Batch(after=after, rows=len(rows))

    async def differences(self) -> AsyncIterator[str]:
        after = None
        while rows := await self._source.db.read(partial(ROOMS.page, after=after, limit=BATCH)):
            for room_id, *_ in rows:
                async for line in self._compare(room_id):
                    yield f"{room_id}: {line}"
            after = ROOMS.key(rows[-1])

    async def _take(self, room_id: str) -> None:
        both = await self._both(room_id)
        if both is None or both.is_same:
            return
        root = both.head.state_root
        if both.theirs:
            here = await self._store.statuses(both.theirs.values())
            root = await self._states.store_root(
                [(key, name) for key, name in both.theirs.items() if name in here]
            )
        await self._writer.admit(room_id, partial(self._build, root, both.ends))

    async def _build(self, root: bytes, ends: Sequence[str], head: RoomHead) -> Admitted:
        built = await self._admission.reroot(head, root)
        row = replace(built.head.row, extremities=tuple(ends))
        built.head = replace(built.head, row=row, rerooted=True)
        return built

    async def _both(self, room_id: str) -> _Both | None:
        head = await self._db.read(partial(our_rooms.load_head, room_id=room_id))
        if head is None or not head.extremities:
            return None
        theirs = await self._source.db.read(partial(their_events.current_state, room_id=room_id))
        ends = await self._source.db.read(partial(their_events.ends, room_id=room_id))
        here = await self._db.read(partial(our_events.statuses, ids=ends))
        placed = tuple(name for name in ends if here.get(name) in (EventStatus.ACCEPTED, EventStatus.HIDDEN))
        ours = await self._store.read_state(state_tree.items(head.state_root))
        return _Both(head=head, ours=ours, theirs=theirs, ends=placed or head.extremities)

    async def _compare(self, room_id: str) -> AsyncIterator[str]:
        both = await self._both(room_id)
        if both is None:
            if await self._source.db.read(partial(their_events.ends, room_id=room_id)):
                yield "it is not here"
            return
        if sorted(both.ends) != sorted(both.head.extremities):
            yield "it ends with other events"
        if not both.theirs:
            return
        for key in sorted(both.ours.keys() | both.theirs.keys()):
            if both.ours.get(key) != both.theirs.get(key):
                yield f"{key[0]} {key[1]!r} is {both.ours.get(key)}, and there {both.theirs.get(key)}"
        members = {key[1]: name for key, name in both.theirs.items() if key[0] == MEMBER}
        noted = await self._db.read(partial(_members, room_id, list(members)))
        for user_id, name in members.items():
            if noted.get(user_id) != name:
                yield f"the membership of {user_id} is noted as {noted.get(user_id)}, and there as {name}"


async def _members(room_id: str, user_ids: Sequence[str], tx: Transaction) -> dict[str, str]:
    return await our_memberships.event_ids(tx, room_id, user_ids)
