"""Rooms and their children, for servers whose users might join them (spec: server-server API, "Spaces")."""

from __future__ import annotations

from palpo.core.errors import NotFound
from palpo.core.identifiers import RoomId, ServerName
from palpo.services.federation.servers.residents import Residents
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.rooms.remote_rooms import Look
from palpo.services.rooms.room_overviews import Overview
from palpo.services.rooms.room_summaries import RoomSummaries
from palpo.streams.turns import Turns

MAX_CHILDREN = 200
"""Of one room, that are looked at."""


class ServedHierarchy:
    """Looks at rooms for another server."""

    def __init__(
        self, summaries: RoomSummaries, residents: Residents, servers: RoomServers, server_name: ServerName
    ) -> None:
        self._servers = servers
        self._summaries = summaries
        self._residents = residents
        self._server_name = server_name

    async def look(self, server: str, room_id: RoomId, *, suggested_only: bool) -> Look:
        """A room and its children; raises NotFound where it is not here, or not for the server."""
        room = await self._summaries.room(room_id, suggested_only=suggested_only)
        if not await self._is_here(room_id) or not await self._may_see(server, room.overview):
            raise NotFound("Room not found")
        known: dict[RoomId, Overview] = {}
        hidden: set[str] = set()
        async for event in Turns().over(room.children[:MAX_CHILDREN]):
            child_id = RoomId(event.state_key or "")
            if not await self._is_here(child_id):
                continue
            child = (await self._summaries.room(child_id)).overview
            if await self._may_see(server, child):
                known[child_id] = child
            else:
                hidden.add(child_id)
        return Look(room=room, known=known, hidden=frozenset(hidden))

    async def _is_here(self, room_id: RoomId) -> bool:
        return await self._servers.is_in(room_id, self._server_name)

    async def _may_see(self, server: str, room: Overview) -> bool:
        """Whether users of a server may look at a room, or might join it."""
        if room.world_readable or room.knockable or room.join_rule == "public":
            return True
        if await self._residents.is_expected(room.room_id, server):
            return True
        for allowed in room.allowed_room_ids or ():
            if await self._is_here(RoomId(allowed)) and await self._servers.is_in(allowed, server):
                return True
        return False
