"""Preconditions on a room's head, for the writer to hold just before it writes."""

from __future__ import annotations

from palpo.core.events import StateKey
from palpo.services.history.drafts import Draft, Guard
from palpo.services.history.room_heads import RoomHead, RoomHeads


class Same(Exception):
    """The state is already what a draft would make it."""

    def __init__(self, event_id: str) -> None:
        super().__init__(event_id)
        self.event_id = event_id
        """The event that set it."""


def unless_same(heads: RoomHeads, draft: Draft) -> Guard:
    """Raises Same where the current state has the draft's content, set by its sender."""
    assert draft.state_key is not None
    key: StateKey = (draft.type, draft.state_key)

    async def guard(head: RoomHead) -> None:
        current = await heads.state_event(head, key)
        if current is not None and current.sender == draft.sender and current.content == draft.content:
            raise Same(current.event_id)

    return guard
