"""Which servers the rooms here let take part."""

from __future__ import annotations

from palpo.core.errors import Forbidden, NotFound
from palpo.core.events import Event
from palpo.core.server_acl import ServerAcl
from palpo.core.state_keys import SERVER_ACL
from palpo.services.history.room_heads import RoomHeads
from palpo.streams.caches import Cache, CacheBudget


class ServerAcls:
    """Looks at the list in each room's current state."""

    def __init__(self, heads: RoomHeads, caches: CacheBudget) -> None:
        self._heads = heads
        self._lists: Cache[str, ServerAcl] = caches.cache("server_acls", _bytes)

    async def check(self, room_id: str, server_name: str) -> None:
        """Raises Forbidden where a room shuts a server out; of rooms that are not here nothing is known."""
        if not await self.permits(room_id, server_name):
            raise Forbidden("The room does not let your server take part")

    async def permits(self, room_id: str, server_name: str) -> bool:
        """Whether a room lets a server take part."""
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return True
        event = await self._heads.state_event(head, SERVER_ACL)
        if event is None:
            return True
        return self._list(event).permits(server_name)

    def _list(self, event: Event) -> ServerAcl:
        content = event.content
        if not content:
            # What has been redacted lets nobody in, and what it said before does not count.
            return ServerAcl.parse(content)
        acl = self._lists.touch(event.event_id)
        if acl is None:
            acl = ServerAcl.parse(content)
            self._lists.keep({event.event_id: acl})
        return acl


def _bytes(event_id: str, acl: ServerAcl) -> int:
    return 500 + 20 * (len(acl.allow.pattern) + len(acl.deny.pattern))
