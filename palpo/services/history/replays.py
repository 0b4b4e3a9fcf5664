"""Events of a room that are judged again, in order and some at a time, over another state before the first.

What stays as it was, accepted or not, is written at once, with the states around it, and then forgotten:
neither what is held in memory nor a transaction grows with how many there are. Whoever is interrupted begins
again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from msgspec.structs import replace

from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.db.engine import Database
from palpo.db.transaction import WriteTransaction
from palpo.services.history.admission import BATCH, Admitted, Run
from palpo.services.history.room_heads import RoomHead
from palpo.storage import event_refusals as event_refusals_storage
from palpo.storage import events as events_storage
from palpo.storage import state as state_storage
from palpo.storage.events import NewEvent, Rejudged
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """Some events of a room that are judged again, in order."""

    events: Sequence[SignedEvent]
    stored: Mapping[str, StoredEvent]
    """What became of each before."""
    states: Mapping[str, bytes]
    """By event: the root of the state before it, where what is before it is not here."""


@dataclass(slots=True, eq=False, kw_only=True)
class Replay:
    """Judges those of one room, a part at a time."""

    db: Database
    clock: Clock
    run: Run
    moved: list[NewEvent] = field(default_factory=list)
    """Those that are accepted now, and were not."""

    async def take(self, part: Replayed) -> list[str]:
        """Judge events that come after those that they refer to; the IDs of those that stay accepted."""
        run = self.run
        run.outliers, run.states = part.stored.keys(), part.states
        stay: list[Rejudged] = []
        turns = Turns()
        for event in part.events:
            await turns.breathe()
            if event.event_id in run.new or await run.take(event, past=False) is not None:
                continue
            new, item = run.new[event.event_id], part.stored[event.event_id]
            new = run.new[event.event_id] = replace(new, place=item.place)
            if (new.status is EventStatus.ACCEPTED) == (item.status is EventStatus.ACCEPTED):
                stay.append(_rejudged(new))
            else:
                self.moved.append(new)
        run.built.events.clear()
        await self._keep(stay)
        return [item.event_id for item in stay if item.status is EventStatus.ACCEPTED]

    def end(self, head: RoomHead) -> Admitted:
        """The room's head, which was ``head``, once all were judged.

        What was accepted and is not any more, or the other way round, is among ``events``. What becomes of
        memberships is not said.
        """
        built = self.run.built
        reached = built.head.row
        row = replace(
            head.row,
            head=head.row.head + max(1, len(self.moved)),
            extremities=reached.extremities,
            state_root=reached.state_root,
            depth=max(head.row.depth, reached.depth),
            place=max(head.row.place, reached.place),
            whole_from=0,
        )
        built.head = replace(head, row=row, hashes=built.head.hashes, rerooted=True, completed=True)
        built.events = [replace(new, room_state=row.state_root) for new in self.moved]
        return built

    async def _keep(self, stay: Sequence[Rejudged]) -> None:
        """Write what is known now of events that stay what they were, and forget them."""
        built = self.run.built
        nodes = iter(built.nodes.items())
        while some := dict(islice(nodes, BATCH)):
            await self.db.write(partial(state_storage.insert_nodes, nodes=some))
        for at in range(0, len(stay), BATCH):
            await self.db.write(partial(self._write, stay[at : at + BATCH]))
        built.nodes.clear()
        for item in stay:
            del self.run.new[item.event_id]

    async def _write(self, stay: Sequence[Rejudged], tx: WriteTransaction) -> None:
        await events_storage.rejudge(tx, stay)
        await event_refusals_storage.note(tx, (), stay, self.clock.now_ms())


def _rejudged(new: NewEvent) -> Rejudged:
    return Rejudged(
        event_id=new.event.event_id,
        room_id=new.event.room_id,
        status=new.status,
        state_before=new.state_before,
        state_after=new.state_after,
        refusal=new.refusal,
    )
