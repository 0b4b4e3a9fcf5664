"""What stays of a deleted room for a while: for each user that was made to leave, the event that says so.

So a client that was offline meanwhile is told, by its next sync, as it is of rooms of other servers that an
invite was turned down to. It goes with the job that has deleted the room (``workers.sweeps``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import RoomId, ServerName
from palpo.core.membership import LEAVE
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.storage import departures as storage
from palpo.storage import memberships
from palpo.storage.memberships import Member
from palpo.storage.outside_memberships import OutsideMembership

BATCH = 100
"""Users that are looked at together."""


class Departures:
    """Keeps them, and deletes all other memberships of a room."""

    def __init__(self, db: Database, events: EventStore, server_name: ServerName) -> None:
        self._db = db
        self._events = events
        self._server_name = server_name

    async def keep(self, room_id: RoomId, version: str, users: Sequence[str]) -> None:
        """Keep those of users who have left, and of nobody else; may be done again."""
        await self._delete_outside(room_id, frozenset(users))
        for at in range(0, len(users), BATCH):
            some = [await self._member(room_id, user_id) for user_id in users[at : at + BATCH]]
            left = {item.event_id: item for item in some if item is not None and item.membership is LEAVE}
            events = await self._events.signed(left)
            kept = [
                OutsideMembership(
                    room_id=room_id,
                    user_id=left[event_id].user_id,
                    event_id=event_id,
                    room_version=version,
                    server_name=self._server_name,
                    pdu=to_json(event.pdu),
                    position=left[event_id].position,
                )
                for event_id, event in events.items()
            ]
            if kept:
                await self._db.write(partial(storage.keep, room_id=room_id, departures=kept))

    async def delete_others(self, room_id: RoomId) -> int:
        """Delete all memberships of a room but the departures; how many."""
        count, after = 0, ""
        while some := await self._db.read(
            partial(storage.members_after, room_id=room_id, user_id=after, limit=BATCH)
        ):
            read = partial(storage.outside_after, room_id=room_id, user_id=after, limit=BATCH)
            kept = await self._db.read(read)
            gone = [user_id for user_id in some if user_id not in kept]
            if gone:
                await self._db.write(partial(storage.delete_members, room_id=room_id, users=gone))
            count, after = count + len(gone), some[-1]
        return count

    async def _member(self, room_id: RoomId, user_id: str) -> Member | None:
        return await self._db.read(partial(memberships.get, room_id=room_id, user_id=user_id))

    async def _delete_outside(self, room_id: RoomId, kept: Collection[str]) -> None:
        """Forget what is known of others outside of the room."""
        after = ""
        while found := await self._db.read(
            partial(storage.outside_after, room_id=room_id, user_id=after, limit=BATCH)
        ):
            gone = [user_id for user_id in found if user_id not in kept]
            await self._db.write(partial(storage.delete_outside, room_id=room_id, users=gone))
            after = max(found)
