"""Which servers are in a room, this one among them."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.storage import memberships
from palpo.storage import room_servers as storage
from palpo.storage.room_servers import RoomServer
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups


@dataclass(frozen=True, slots=True)
class _Servers:
    rows: tuple[RoomServer, ...]
    joined: frozenset[ServerName]


class RoomServers:
    """Knows them by the rooms' current state."""

    def __init__(
        self, db: Database, wakeups: Wakeups, caches: CacheBudget, *, server_name: ServerName
    ) -> None:
        self._db = db
        self._server_name = server_name
        self._others: Cache[str, _Servers] = caches.cache("room_servers", _bytes)
        self._of_ours: Cache[str, str] = caches.cache("local_members", group=lambda room_id, user_id: user_id)
        """Of each room one of our users who is in it, until a membership of theirs changes."""
        wakeups.listen(topics.ROOM_SERVERS, self._others.forget)
        wakeups.listen(topics.MEMBER, self._of_ours.forget)

    async def joined(self, room_id: str) -> frozenset[ServerName]:
        """The other servers that have users in a room."""
        return (await self._get(room_id)).joined

    async def longest(self, room_id: str) -> list[ServerName]:
        """The same, those that have been there for longest first."""
        rows = (row for row in (await self._get(room_id)).rows if row.joined)
        return [row.server_name for row in sorted(rows, key=lambda row: row.position)]

    def known_alone(self, room_id: str) -> bool:
        """Whether it is known that no other server is in a room, or was; costs a look into memory."""
        found = self._others.touch(room_id)
        return found is not None and not found.rows

    async def at(self, room_id: str, position: int) -> list[ServerName]:
        """Those that had users in a room just before, or after, what is at a position of the stream.

        So whose last user is kicked is told of the kick. Only each server's last stay is known.
        """
        return [row.server_name for row in (await self._get(room_id)).rows if row.was_in(position)]

    async def is_in(self, room_id: str, server_name: str) -> bool:
        """Whether a server, which may be this one, has a user in a room."""
        if server_name != self._server_name:
            return server_name in await self.joined(room_id)
        return self._of_ours.touch(room_id) is not None or await self._find_ours(room_id)

    async def _get(self, room_id: str) -> _Servers:
        return self._others.touch(room_id) or await self._others.read(room_id, lambda: self._read(room_id))

    async def _read(self, room_id: str) -> _Servers:
        rows = await self._db.read(lambda tx: storage.of_room(tx, room_id))
        return _Servers(tuple(rows), frozenset(row.server_name for row in rows if row.joined))

    async def _find_ours(self, room_id: str) -> bool:
        with self._of_ours.reading() as reading:
            found = await self._db.read(lambda tx: memberships.local_users_in_room(tx, room_id, 1))
            if found:
                reading.keep({room_id: found[0]})
        return bool(found)


def _bytes(room_id: str, servers: _Servers) -> int:
    return 400 + 250 * len(servers.rows)
