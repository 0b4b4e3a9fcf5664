"""Which servers may let a user of this one into a room, out of it, or knock at it."""

from __future__ import annotations

from collections.abc import Iterable

from palpo.core.errors import AuthError, NotFound
from palpo.core.identifiers import RoomId, ServerName, server_name_of
from palpo.db.engine import Database
from palpo.services.federation.events.templates import Wish
from palpo.services.federation.servers.failover import others
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.history import HistoryServices
from palpo.services.history.room_heads import RoomHead
from palpo.storage import room_servers as storage


class WhomToAsk:
    """Finds them by what is known of the room."""

    def __init__(
        self, db: Database, history: HistoryServices, room_servers: RoomServers, *, server_name: ServerName
    ) -> None:
        self._db = db
        self._room_servers = room_servers
        self._outside = history.outside_memberships
        self._access = history.room_access
        self._heads = history.room_heads
        self._server_name = server_name

    async def servers(self, wish: Wish, via: Iterable[str] = ()) -> list[ServerName]:
        """Those of ``via`` and who has invited the user; where none is named, any that may know the room.

        Whoever names servers may mean these and no others: one that may let the user in, say.
        """
        named = others(via, self._server_name)
        names = [*named, *await self._inviting(wish)]
        if not named:
            names += await self._in_room(wish.room_id)
            names += [server_name_of(wish.room_id)] if ":" in wish.room_id else []
        return others(names, self._server_name)

    async def anybody(self, room_id: RoomId) -> bool:
        """Whether there are users of other servers in a room, as far as is known here."""
        return bool(await self._room_servers.joined(room_id))

    async def _inviting(self, wish: Wish) -> list[str]:
        """Who told of the invite, and whose user made it."""
        outside = await self._outside.get(wish.room_id, wish.user_id)
        member = await self._access.membership(wish.room_id, wish.user_id)
        names: list[str] = [] if outside is None else [outside.server_name]
        return names if member is None else [*names, server_name_of(member.sender)]

    async def _in_room(self, room_id: str) -> list[ServerName]:
        """The servers in a room as far as it is known here: first whose users may invite."""
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return []
        rows = await self._db.read(lambda tx: storage.of_room(tx, room_id))
        joined = {row.server_name: row.joined for row in rows if row.joined}
        able = await self._able(head)
        return sorted(joined, key=lambda name: (-able.get(name, -1), -joined[name]))

    async def _able(self, head: RoomHead) -> dict[ServerName, int]:
        """The servers of users who have a level of their own by which they may invite: the highest."""
        try:
            levels = await self._heads.power_levels(head)
        except AuthError:
            return {}
        able: dict[ServerName, int] = {}
        for user_id in (*levels.infinite, *levels.users):
            level = levels.user(user_id)
            if ":" in user_id and level >= levels.invite:
                server = server_name_of(user_id)
                able[server] = max(level, able.get(server, level))
        return able
