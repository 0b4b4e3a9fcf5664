"""What users here do that is soon no news: other servers are told of it where they are in a room with them.

Who types, what they have read, whether they are there (spec: server-server API, "Typing Notifications",
"Receipts", "Presence").
"""

from __future__ import annotations

from collections.abc import Sequence

from palpo.core.identifiers import ServerName
from palpo.db.engine import Database
from palpo.services.federation.sending.outgoing_edus import OutgoingEdus
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.storage import presence as presence_storage
from palpo.storage import receipts as receipts_storage
from palpo.storage import room_servers as room_servers_storage
from palpo.storage import typing as typing_storage
from palpo.storage.presence import Presence
from palpo.storage.receipts import Receipt
from palpo.streams import topics
from palpo.streams.caches import CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.last_changes import LastChanges
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

BATCH = 1000
"""Changes of a kind that are told of at once; of more, the rest is not told."""
TYPING, RECEIPT, PRESENCE = "m.typing", "m.receipt", "m.presence"
OFFLINE = "offline"
STILL_TYPES_S, STILL_THERE_S = 30.0, 25 * 60.0
"""How often servers are told that somebody still types, or is still there: they take it that it is over after
a minute, and half an hour."""
MAX_AGAIN = 10_000
"""Of whom that is said again."""


class News:
    """Finds it in the stream."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        caches: CacheBudget,
        room_servers: RoomServers,
        edus: OutgoingEdus,
        *,
        server_name: ServerName,
    ) -> None:
        self._db = db
        self._clock = clock
        self._room_servers = room_servers
        self._edus = edus
        self._server_name = server_name
        self._of_typing = LastChanges(wakeups, topics.TYPING, caches)
        self._of_receipts = LastChanges(wakeups, topics.RECEIPTS, caches)
        self._of_presence = LastChanges(wakeups, topics.PRESENCE, caches)
        self._typing: dict[tuple[str, str], float] = {}
        """Room and user → when servers were told that they type, as the clock's ``elapsed_s``."""
        self._there: dict[str, float] = {}
        """User → when servers were told that they are there."""

    async def tell(self, after: int, upto: int) -> None:
        """Tell of what changed at positions in ``(after, upto]``; costs nothing where nothing did."""
        if after >= upto:
            return
        if self._of_typing.any_since(after, upto):
            await self._tell_typing(after, upto)
        if self._of_receipts.any_since(after, upto):
            await self._tell_receipts(after, upto)
        if self._of_presence.any_since(after, upto):
            await self._tell_presence(after, upto)

    async def rest(self) -> float:
        """Say again who still types, and who is still there; the seconds until that is due again."""
        now = self._clock.elapsed_s()
        for (room_id, user_id), told in list(self._typing.items()):
            if now - told >= STILL_TYPES_S:
                await self._type(room_id, user_id, True)
        due = [user_id for user_id, told in self._there.items() if now - told >= STILL_THERE_S]
        if due:
            await self._say(await self._db.read(lambda tx: presence_storage.get(tx, due)))
        return STILL_TYPES_S / 2

    async def _tell_typing(self, after: int, upto: int) -> None:
        found = await self._db.read(lambda tx: typing_storage.moved(tx, after=after, upto=upto, limit=BATCH))
        for room_id, user_id, typing in found:
            if self._is_ours(user_id):
                await self._type(room_id, user_id, typing)

    async def _type(self, room_id: str, user_id: str, typing: bool) -> None:
        self._typing.pop((room_id, user_id), None)
        servers = await self._room_servers.joined(room_id)
        if typing and servers and len(self._typing) < MAX_AGAIN:
            self._typing[room_id, user_id] = self._clock.elapsed_s()
        content = {"room_id": room_id, "user_id": user_id, "typing": typing}
        self._edus.send(servers, TYPING, content, key=(room_id, user_id))

    async def _tell_receipts(self, after: int, upto: int) -> None:
        found = await self._db.read(
            lambda tx: receipts_storage.public(tx, after=after, upto=upto, limit=BATCH)
        )
        turns = Turns()
        for item in found:
            await turns.breathe()
            if self._is_ours(item.user_id):
                servers = await self._room_servers.joined(item.room_id)
                key = item.room_id, item.user_id, item.thread_id
                self._edus.send(servers, RECEIPT, receipt_content(item), key=key)

    async def _tell_presence(self, after: int, upto: int) -> None:
        changed = await self._db.read(lambda tx: presence_storage.changed(tx, after, upto, BATCH))
        await self._say([item for item in changed if self._is_ours(item.user_id)])

    async def _say(self, items: Sequence[Presence]) -> None:
        """Tell of the presence of users here."""
        users = [item.user_id for item in items]
        if not users:
            return
        servers = await self._db.read(lambda tx: room_servers_storage.of_users(tx, users))
        turns, now = Turns(), self._clock.now_ms()
        for item in items:
            await turns.breathe()
            self._there.pop(item.user_id, None)
            told = servers.get(item.user_id, ())
            if told and item.presence != OFFLINE and len(self._there) < MAX_AGAIN:
                self._there[item.user_id] = self._clock.elapsed_s()
            content = {"push": [presence_content(item, now)]}
            self._edus.send(told, PRESENCE, content, key=item.user_id)

    def _is_ours(self, user_id: str) -> bool:
        return user_id.partition(":")[2] == self._server_name


def receipt_content(receipt: Receipt) -> dict[str, object]:
    """The content of ``m.receipt`` between servers."""
    data: dict[str, object] = {"ts": receipt.ts}
    if receipt.thread_id:
        data["thread_id"] = receipt.thread_id
    of_user = {"event_ids": [receipt.event_id], "data": data}
    return {receipt.room_id: {"m.read": {receipt.user_id: of_user}}}


def presence_content(presence: Presence, now_ms: int) -> dict[str, object]:
    """What servers are told of one user, in the ``push`` of ``m.presence``."""
    content: dict[str, object] = {
        "user_id": presence.user_id,
        "presence": presence.presence,
        "last_active_ago": max(now_ms - presence.last_active_ts, 0),
        "currently_active": presence.currently_active,
    }
    if presence.status_msg is not None:
        content["status_msg"] = presence.status_msg
    return content
