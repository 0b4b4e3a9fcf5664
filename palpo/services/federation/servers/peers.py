"""Which other servers are asked about a room, one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import structlog

from palpo.core.errors import MatrixError
from palpo.core.identifiers import ServerName
from palpo.net.federation_errors import FederationError, ServerNotFound, ServerUnreachable
from palpo.services.federation.servers.away_servers import AwayServers
from palpo.services.federation.servers.room_servers import RoomServers

log = structlog.get_logger("palpo.federation")
T = TypeVar("T")

MAX_SERVERS = 3
"""That are asked the same."""


class Peers:
    """Chooses among those that are in it: who has been there for longest knows most."""

    def __init__(self, servers: RoomServers, away: AwayServers, server_name: ServerName) -> None:
        self._servers = servers
        self._away = away
        self._server_name = server_name

    def is_away(self, server: ServerName) -> bool:
        """Whether a server did not answer just now, and is left alone."""
        return self._away.is_away(server)

    def did_not_answer(self, server: ServerName) -> None:
        """Leave a server alone for a while."""
        self._away.failed(server)

    async def has_any(self, room_id: str) -> bool:
        """Whether there is anybody to ask, who would answer: to servers in the room only."""
        return bool(await self._servers.joined(room_id)) and await self._servers.is_in(
            room_id, self._server_name
        )

    async def to_ask(self, room_id: str, before: Iterable[ServerName] = ()) -> list[ServerName]:
        """Some of the other servers that are in a room, and may answer; those of ``before`` come first."""
        if not await self.has_any(room_id):
            return []
        longest = await self._servers.longest(room_id)
        preferred = [server for server in before if server in longest]
        return self._there(dict.fromkeys([*preferred, *longest]))

    async def first(
        self,
        room_id: str,
        ask: Callable[[ServerName], Awaitable[T | None]],
        *,
        before: Iterable[ServerName] = (),
    ) -> T | None:
        """The first answer of those ``to_ask`` that is one; None where there is none."""
        return await self.of(await self.to_ask(room_id, before), ask)

    async def of(
        self, servers: Iterable[ServerName], ask: Callable[[ServerName], Awaitable[T | None]]
    ) -> T | None:
        """The same of these servers: those that did not answer just now are passed over."""
        for server in self._there(servers):
            try:
                found = await ask(server)
            except (FederationError, MatrixError) as error:
                if isinstance(error, ServerUnreachable | ServerNotFound):
                    self._away.failed(server)
                log.info("not_told", server=server, error=str(error)[:200])
                continue
            self._away.heard_from(server)
            if found:
                return found
        return None

    def _there(self, servers: Iterable[ServerName]) -> list[ServerName]:
        return [server for server in servers if not self._away.is_away(server)][:MAX_SERVERS]
