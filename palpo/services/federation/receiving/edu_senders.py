"""Of whom another server may say something: its own users, and in rooms that they are in."""

from __future__ import annotations

from palpo.core.errors import Forbidden, InvalidParam
from palpo.core.identifiers import RoomId, ServerName, UserId, parse_room_id, parse_user_id, server_name_of
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.services.history.completions import Completions
from palpo.services.history.room_access import RoomAccess


class EduSenders:
    """Checks what EDUs claim."""

    def __init__(
        self,
        server_name: ServerName,
        access: RoomAccess,
        room_servers: RoomServers,
        acls: ServerAcls,
        completions: Completions,
    ) -> None:
        self._completions = completions
        self._server_name = server_name
        self._access = access
        self._room_servers = room_servers
        self._acls = acls

    def user(self, origin: ServerName, user_id: object) -> UserId:
        """A user of ``origin``; raises InvalidParam, and Forbidden for those of other servers."""
        if not isinstance(user_id, str):
            raise InvalidParam("Not a user ID")
        user = parse_user_id(user_id)
        if server_name_of(user) != origin:
            raise Forbidden("That is not a user of your server")
        return user

    async def room(self, origin: ServerName, room_id: object) -> RoomId:
        """A room that users of this server are in, and that lets ``origin`` take part (MSC4163).

        Raises InvalidParam, Forbidden.
        """
        if not isinstance(room_id, str):
            raise InvalidParam("Not a room ID")
        room = parse_room_id(room_id)
        if not await self._room_servers.is_in(room, self._server_name):
            raise Forbidden("Nobody here is in that room")
        await self._acls.check(room, origin)
        return room

    async def is_partial(self, room_id: RoomId) -> bool:
        """Whether members are missing in what is known of a room."""
        return await self._completions.is_partial(room_id)

    async def check_member(self, room_id: RoomId, user_id: UserId) -> None:
        """Raises Forbidden where the user is not in the room.

        While members are missing in its state (MSC3902), whoever's server is in the room may be.
        """
        if await self._completions.is_missing(room_id, user_id) and await self._room_servers.is_in(
            room_id, server_name_of(user_id)
        ):
            return
        await self._access.require_member(room_id, user_id)
