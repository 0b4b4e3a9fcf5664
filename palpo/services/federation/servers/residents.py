"""Whether a server may ask about a room: those may that are in it."""

from __future__ import annotations

from palpo.core.errors import Forbidden
from palpo.db.engine import Database
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.history.room_heads import RoomHead, RoomHeads
from palpo.storage import memberships as storage


class Residents:
    """Looks at who is in the rooms that are here."""

    def __init__(self, db: Database, heads: RoomHeads, servers: RoomServers) -> None:
        self._db = db
        self._heads = heads
        self._servers = servers

    async def check(self, room_id: str, server: str) -> RoomHead:
        """The head of a room that a server is in; raises Forbidden, and NotFound for rooms not known here."""
        head = await self._heads.get(room_id)
        if not await self._servers.is_in(room_id, server):
            raise Forbidden("Your server is not in the room")
        return head

    async def is_expected(self, room_id: str, server: str) -> bool:
        """Whether a user of a server is in a room, or invited to it."""
        if await self._servers.is_in(room_id, server):
            return True
        return await self._db.read(lambda tx: storage.is_server_invited(tx, room_id, server))
