"""The rooms that users of this server are in: of others nothing is taken in."""

from __future__ import annotations

from palpo.core.errors import NotFound
from palpo.core.identifiers import ServerName
from palpo.services.federation.room_servers import RoomServers
from palpo.services.federation.server_acls import ServerAcls
from palpo.services.history.room_heads import RoomHead, RoomHeads


class RoomsHere:
    """Finds them."""

    def __init__(
        self, server_name: ServerName, heads: RoomHeads, servers: RoomServers, acls: ServerAcls
    ) -> None:
        self._server_name = server_name
        self._heads = heads
        self._servers = servers
        self._acls = acls

    async def get(self, room_id: str) -> RoomHead:
        """The head of a room that somebody of this server is in; raises NotFound for others."""
        head = await self._heads.get(room_id)
        if not await self._servers.is_in(room_id, self._server_name):
            raise NotFound("Nobody of this server is in the room")
        return head

    async def open_to(self, room_id: str, server: ServerName) -> RoomHead:
        """The same of one that lets ``server`` take part; raises Forbidden for one that does not."""
        head = await self.get(room_id)
        await self._acls.check(room_id, server)
        return head
