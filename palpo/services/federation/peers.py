"""Which other servers are asked about a room."""

from __future__ import annotations

from collections.abc import Iterable

from palpo.core.identifiers import ServerName
from palpo.services.federation.room_servers import RoomServers

MAX_SERVERS = 3
"""That are asked the same, one after the other."""


class Peers:
    """Chooses among those that are in it: who has been there for longest knows most."""

    def __init__(self, servers: RoomServers, server_name: ServerName) -> None:
        self._servers = servers
        self._server_name = server_name

    async def has_any(self, room_id: str) -> bool:
        """Whether there is anybody to ask, who would answer: to servers in the room only."""
        return bool(await self._servers.joined(room_id)) and await self._servers.is_in(
            room_id, self._server_name
        )

    async def to_ask(self, room_id: str, first: Iterable[ServerName] = ()) -> list[ServerName]:
        """Some other servers that are in a room; those of ``first`` that are before others."""
        if not await self.has_any(room_id):
            return []
        longest = await self._servers.longest(room_id)
        preferred = [server for server in first if server in longest]
        return list(dict.fromkeys([*preferred, *longest]))[:MAX_SERVERS]
