"""Who is to be told of what: the events of the stream, each with the servers that it goes to."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from palpo.core.errors import InvalidParam
from palpo.core.identifiers import ServerName, server_name_of
from palpo.core.membership import BAN, LEAVE, membership_of
from palpo.core.server_names import ServerNameRules
from palpo.core.state_keys import MEMBER
from palpo.db.engine import Database
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.history.event_store import EventStore
from palpo.storage import destinations as storage
from palpo.storage import room_servers as room_servers_storage
from palpo.storage.destinations import OutgoingEvent
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

BATCH = 500
"""Events that are looked at in one go."""
FEW = 50
"""Positions of so few events that their PDUs are read at once."""
MAX_UNKNOWN = 100
MAX_CHANGED = 1000


@dataclass(frozen=True, slots=True)
class FannedOut:
    """An event, and who is to be told of it."""

    event: OutgoingEvent
    servers: list[ServerName]
    pdu: bytes | None = None
    """As JSON, where it was read too."""


class FanOut:
    """Reads the stream for all servers at once."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        caches: CacheBudget,
        store: EventStore,
        room_servers: RoomServers,
        rules: ServerNameRules,
    ) -> None:
        self._db = db
        self._store = store
        self._room_servers = room_servers
        self._rules = rules
        self._any = False
        """Whether there is any other server in any room; where there is none, the stream is not read."""
        self._stale = True
        self._changed: dict[str, int] = {}
        """Rooms in which there are other servers than there were, with the position of the last change."""
        self._unknown: set[str] = set()
        """Rooms of which it is to be found out whether there are other servers in them."""
        self._permitted: Cache[str, bool] = caches.cache("permitted_servers", lambda name, permitted: 150)
        wakeups.listen(topics.ROOM_SERVERS, self._servers_changed)

    @property
    def anybody(self) -> bool:
        """Whether there may be any other server in any room."""
        return self._any or self._stale

    def concerns(self, room_id: str) -> bool:
        """Whether others may have to be told of what happens in a room; costs a look into memory."""
        if self._room_servers.known_alone(room_id):
            return False
        if len(self._unknown) < MAX_UNKNOWN:
            self._unknown.add(room_id)
        return True

    async def read(self, after: int, upto: int) -> tuple[int, list[FannedOut]]:
        """What there is to tell in ``(after, upto]``, and up to where that is all."""
        if after >= upto or not await self._anybody():
            return upto, []
        events = await self._events(after, upto)
        if len(events) == BATCH:
            upto = events[-1][0].position
        turns = Turns()
        for room_id in self._take_unknown():
            await turns.breathe()
            await self._room_servers.joined(room_id)
        found = await self._told_before(after, upto)
        for event, pdu in events:
            await turns.breathe()
            servers = await self._servers(event)
            found.append(FannedOut(event, self.permitted(servers, but=server_name_of(event.sender)), pdu))
        return upto, sorted(found, key=lambda item: item.event.position)

    async def _events(self, after: int, upto: int) -> list[tuple[OutgoingEvent, bytes | None]]:
        """Those of the stream, with their PDUs where they are few: one alone is to be told at once."""
        if upto - after <= FEW:
            return await self._db.read(lambda tx: storage.new_pdus(tx, after=after, upto=upto, limit=BATCH))
        found = await self._db.read(lambda tx: storage.new_events(tx, after=after, upto=upto, limit=BATCH))
        return [(event, None) for event in found]

    async def _told_before(self, after: int, upto: int) -> list[FannedOut]:
        """What was told the others before a server came, which it does not find by what it knows."""
        rooms = self._changed
        if not rooms:
            return []
        self._changed = {room_id: position for room_id, position in rooms.items() if position > upto}
        missed = await self._db.read(lambda tx: storage.told_before(tx, rooms, after=after, upto=upto))
        return [FannedOut(event, self.permitted([server])) for event, server in missed]

    async def _servers(self, event: OutgoingEvent) -> list[ServerName]:
        """Those in the room, and that of who is not to be let in any more, or was not yet."""
        servers = await self._room_servers.at(event.room_id, event.position)
        if event.type != MEMBER or event.state_key is None or ":" not in event.state_key:
            return servers
        server = server_name_of(event.state_key)
        if server in servers or server == server_name_of(event.sender):
            return servers
        membership = membership_of((await self._store.get(event.event_id)).event)
        # Of an invite it has been told before: it has signed it.
        return [*servers, server] if membership in (LEAVE, BAN) else servers

    def permitted(self, servers: Iterable[ServerName], *, but: str = "") -> list[ServerName]:
        """Those of ``servers`` that may be spoken to, without ``but``."""
        return [server for server in servers if server != but and self._permits(server)]

    def _take_unknown(self) -> set[str]:
        unknown, self._unknown = self._unknown, set()
        return unknown

    async def _anybody(self) -> bool:
        if not self._any and self._stale:
            self._stale = False
            self._any = await self._db.read(room_servers_storage.any_room)
        return self._any

    def _permits(self, server: str) -> bool:
        permitted = self._permitted.touch(server)
        if permitted is None:
            try:
                permitted = self._rules.permits(server)
            except InvalidParam:
                permitted = False
            self._permitted.keep({server: permitted})
        return permitted

    def _servers_changed(self, room_ids: Set[str] | None, position: int) -> None:
        self._stale = True
        if room_ids is not None and len(self._changed) < MAX_CHANGED:
            self._changed |= dict.fromkeys(room_ids, position)
