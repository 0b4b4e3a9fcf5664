"""Whether a server may ask about a room: those may that are in it."""

from __future__ import annotations

from palpo.core.errors import Forbidden
from palpo.db.engine import Database
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.storage import memberships as storage


class Residents:
    """Looks at who is in the rooms that are here."""

    def __init__(self, db: Database, heads: RoomHeads) -> None:
        self._db = db
        self._heads = heads

    async def check(self, room_id: str, server: str) -> RoomHead:
        """The head of a room that a server is in; raises Forbidden, and NotFound for rooms not known here."""
        head = await self._heads.get(room_id)
        if not await self.is_in(room_id, server):
            raise Forbidden("Your server is not in the room")
        return head

    async def is_in(self, room_id: str, server: str) -> bool:
        """Whether a user of a server is in a room."""
        return await self._db.read(lambda tx: storage.is_server_in(tx, room_id, server))
