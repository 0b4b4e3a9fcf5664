"""What users of other servers have read (spec: server-server API, "Receipts")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from palpo.core.bounded_text import check_text
from palpo.core.errors import InvalidParam, MatrixError
from palpo.core.identifiers import ServerName, UserId
from palpo.services.federation.receiving.edu_senders import EduSenders
from palpo.services.history.event_store import EventStore
from palpo.services.personal.receipts import READ, Receipts
from palpo.storage.events import NOWHERE
from palpo.storage.receipts import Receipt
from palpo.streams.clock import Clock
from palpo.streams.turns import Turns

MAX_RECEIPTS = 500
"""In one EDU."""
MAX_TS = 2**53


class IncomingReceipts:
    """Takes ``m.receipt``."""

    edu_type = "m.receipt"

    def __init__(self, senders: EduSenders, receipts: Receipts, events: EventStore, clock: Clock) -> None:
        self._senders = senders
        self._receipts = receipts
        self._events = events
        self._clock = clock

    async def receive(self, origin: ServerName, content: dict[str, Any], /) -> None:
        """Take the receipts of users who are in the rooms, for events that are here; the others are lost."""
        turns = Turns()
        found = []
        for room_id, user_id, said in islice(_read(content), MAX_RECEIPTS):
            await turns.breathe()
            try:
                found.append(await self._receipt(origin, room_id, user_id, said))
            except MatrixError:
                continue
        if found:
            await self._receipts.store(found)

    async def _receipt(
        self, origin: ServerName, room_id: str, user_id: str, said: Mapping[str, Any]
    ) -> Receipt:
        """Raises MatrixError where it is not to be believed, or of no use."""
        user = self._senders.user(origin, user_id)
        room = await self._senders.room(origin, room_id)
        await self._senders.check_member(room, user)
        data = said.get("data")
        data = data if isinstance(data, dict) else {}
        event_id = _event_id(said)
        stored = await self._events.find(event_id)
        if stored is None and await self._senders.is_partial(room):
            position = NOWHERE  # It may be of before the join.
        elif stored is None or stored.event.room_id != room or not stored.position:
            raise InvalidParam("The event is not in the room")
        else:
            position = stored.position
        ts = data.get("ts")
        return Receipt(
            room_id=room,
            user_id=user,
            thread_id=_thread_id(data),
            event_id=event_id,
            event_position=position,
            ts=ts if type(ts) is int and 0 <= ts < MAX_TS else self._clock.now_ms(),
            position=0,
        )


def _read(content: Mapping[str, Any]) -> Iterator[tuple[str, UserId, Mapping[str, Any]]]:
    """Room, user, and what is said of them."""
    for room_id, of_room in content.items():
        users = of_room.get(READ) if isinstance(of_room, dict) else None
        for user_id, said in users.items() if isinstance(users, dict) else ():
            if isinstance(said, dict):
                yield room_id, user_id, said


def _event_id(said: Mapping[str, Any]) -> str:
    """The event up to which somebody has read: the spec has a list with one in it."""
    event_ids = said.get("event_ids")
    if not isinstance(event_ids, list) or not event_ids or not isinstance(event_ids[-1], str):
        raise InvalidParam("There is no event")
    return check_text(event_ids[-1], "event_ids")


def _thread_id(data: Mapping[str, Any]) -> str:
    thread_id = data.get("thread_id", "")
    if not isinstance(thread_id, str):
        raise InvalidParam("Not a thread")
    return check_text(thread_id, "thread_id")
