"""The rooms that users of this server are in: of others what is here may be out of date."""

from __future__ import annotations

from palpo.core.errors import NotFound
from palpo.core.identifiers import ServerName, as_room_id
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.history.room_heads import RoomHead, RoomHeads


class ResidentRooms:
    """Finds them."""

    def __init__(self, server_name: ServerName, heads: RoomHeads, servers: RoomServers) -> None:
        self._server_name = server_name
        self._heads = heads
        self._servers = servers

    async def head(self, room_id: str) -> RoomHead:
        """The head of a room that a user of this server is in; raises NotFound."""
        if as_room_id(room_id) is None or not await self._servers.is_in(room_id, self._server_name):
            raise NotFound("Nobody of this server is in the room")
        return await self._heads.get(room_id)

    async def whole(self, room_id: str) -> RoomHead:
        """The same of a room of whose state no members are missing (MSC3902); raises NotFound."""
        head = await self.head(room_id)
        if head.row.is_partial:
            raise NotFound("The members of the room are not all known here yet")
        return head
