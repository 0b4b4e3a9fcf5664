"""What is ready to be written to a room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from msgspec.structs import replace

from palpo.core.events import SignedEvent
from palpo.core.records.events import EventStatus
from palpo.core.state_tree import Update
from palpo.db.transaction import WriteTransaction
from palpo.services.history.room_heads import RoomHead
from palpo.storage.events import NewEvent, Rejudged
from palpo.storage.memberships import Member

STRIPPED_TYPES = (
    "m.room.create",
    "m.room.name",
    "m.room.avatar",
    "m.room.topic",
    "m.room.join_rules",
    "m.room.canonical_alias",
    "m.room.encryption",
)
"""The state that invites and knocks show, besides the membership itself (spec: "Stripped state")."""
MAX_DEPTH = 2**53 - 1
Besides = Callable[[WriteTransaction, int], Awaitable[None]]
"""``async def besides(tx, position)``: writes what goes with events, of which the last has that position."""


@dataclass(slots=True, kw_only=True)
class Built:
    """Events that are ready to be written, and the head that they lead to."""

    head: RoomHead
    events: list[NewEvent]
    nodes: dict[bytes, bytes] = field(default_factory=dict)
    """New nodes of the state tree."""
    earlier: dict[bytes, bytes] = field(default_factory=dict)
    """Those that the head came with: they are not stored yet."""
    memberships: list[tuple[int, Member]] = field(default_factory=list)
    """With the index of its event in ``events``."""
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    """What users who have come, or changed, are called, if the room is public."""
    new_room: bool = False
    rejudged: list[Rejudged] = field(default_factory=list)
    """Events that are stored, and of which nobody has to be told."""
    besides: Besides | None = None

    @property
    def positions(self) -> int:
        """How many of the stream it takes: one where only the head changes."""
        return len(self.events) or 1

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to write."""
        return not self.events and not self.head.rerooted

    def append(self, event: SignedEvent, update: Update | None) -> None:
        """Add an event, and what it does to the state; None for a message."""
        before = after = self.head.state_root
        if update is not None:
            after = update.root
            self.nodes.update(update.new_nodes)
        self.head = self.head.advanced(event, after)
        self.events.append(
            NewEvent(
                event=event,
                place=self.head.row.place,
                state_before=before,
                state_after=after,
                room_state=after,
            )
        )

    def relay(self) -> None:
        """Have this server tell others of the events, though another has sent them.

        Those that were not accepted are told to nobody.
        """
        self.events = [replace(new, relayed=True) for new in self.events]
        for new in self.events:
            if new.status is EventStatus.ACCEPTED:
                row = replace(self.head.row, newest_outgoing=new.event.event_id)
                self.head = replace(self.head, row=row)
