"""Follows the stream for changes of devices of users here, and has other servers told of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from palpo.core.identifiers import ServerName
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.federation.sending.outgoing_device_lists import News, tell
from palpo.services.history.event_store import EventStore
from palpo.storage import device_lists, room_servers
from palpo.streams import topics
from palpo.streams.consumers import Consumer, Handler, Progress, Window
from palpo.streams.wakeups import Wakeups

CONSUMER = "device-list-teller"
GATHER_S = 0.05
MAX_POSITIONS = 10_000
MAX_USERS = 20
MAX_MEMBERS = 500
"""Positions, users and membership events that are looked at in one batch."""


class DeviceListTeller(Handler):
    """Finds who has changed their devices, and who has come to rooms with servers that know none of them."""

    def __init__(self, server_name: ServerName, db: Database, wakeups: Wakeups, events: EventStore) -> None:
        self._server_name = server_name
        self._db = db
        self._events = events
        self.consumer = Consumer(
            CONSUMER,
            self,
            db,
            wakeups,
            gather_s=GATHER_S,
            kinds=[topics.DEVICE_LIST, topics.MEMBER],
        )

    async def begin(self, tx: WriteTransaction) -> int:
        """From now on: nobody was told anything before."""
        return await tx.positions()

    async def handle(self, window: Window) -> Progress:
        """Tell of some users."""
        changed, members, upto = await self._db.read(partial(self._find, window))
        joined = await self._joined({event_id: position for position, event_id, _ in members})
        those = {user_id for _, user_id in changed}
        users = sorted(those | joined.keys())
        if not users:
            return Progress(upto=upto)

        async def write(tx: WriteTransaction) -> None:
            for user_id in users:
                news = News(user_id=user_id, changed=user_id in those, joined=joined.get(user_id, {}))
                await tell(tx, news)

        return Progress(upto=upto, write=write)

    async def _find(
        self, window: Window, tx: Transaction
    ) -> tuple[list[tuple[int, str]], list[tuple[int, str, str]], int]:
        """Whose devices changed, memberships that did, and up to where that is all there is."""
        after, upto = window.after, min(window.upto, window.after + MAX_POSITIONS)
        if not await room_servers.any_room(tx):
            return [], [], window.upto
        changed = await device_lists.changed_here(tx, after=after, upto=upto, limit=MAX_USERS)
        if len(changed) == MAX_USERS:
            upto = changed[-1][0]
        members = await device_lists.federated_member_events(tx, after=after, upto=upto, limit=MAX_MEMBERS)
        if len(members) == MAX_MEMBERS:
            upto = members[-1][0]
        return (
            [item for item in changed if item[0] <= upto],
            [item for item in members if item[2].partition(":")[2] == self._server_name],
            upto,
        )

    async def _joined(self, positions: Mapping[str, int]) -> dict[str, dict[str, int]]:
        """User → room → position, of those of these events that are of users who join."""
        joined: dict[str, dict[str, int]] = {}
        for stored in await self._events.get_list(list(positions)):
            user_id = stored.event.state_key
            if user_id is not None and await self._is_coming(stored, user_id):
                rooms = joined.setdefault(user_id, {})
                rooms[stored.event.room_id] = positions[stored.event.event_id]
        return joined

    async def _is_coming(self, stored: StoredEvent, user_id: str) -> bool:
        if membership_of(stored.event) != JOIN:
            return False
        before = await self._events.state_event(stored.state_before, MEMBER, user_id)
        return before is None or membership_of(before.event) != JOIN
