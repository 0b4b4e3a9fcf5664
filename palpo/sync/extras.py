"""What comes with a sync beside events: account data, receipts, typing, presence, unread counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.personal.account_data import AccountData, event
from palpo.services.personal.presence import PresenceTracker
from palpo.services.personal.receipts import Receipts
from palpo.services.personal.typing import Typing
from palpo.services.push.unread import Unread
from palpo.storage import memberships
from palpo.storage.memberships import Member
from palpo.sync.joined import Reader, V3RoomNews
from palpo.sync.window import Window

RECEIPT = "m.receipt"
TYPING = "m.typing"

Data = list[tuple[str | None, str, bytes]]
"""Account data: room or None, type, content."""


class RoomExtras:
    """Asks each of these services once per sync, for all rooms together."""

    def __init__(
        self,
        db: Database,
        account_data: AccountData,
        receipts: Receipts,
        typing: Typing,
        unread: Unread,
        presence: PresenceTracker,
    ) -> None:
        self._db = db
        self._account_data = account_data
        self._receipts = receipts
        self._typing = typing
        self._unread = unread
        self._presence = presence

    async def ignored(self, user_id: str) -> frozenset[str]:
        """Whom the user ignores."""
        return await self._account_data.ignored_users(user_id)

    async def account_data(self, reader: Reader, window: Window) -> Data:
        """The user's account data that changed in the window, of rooms and not."""
        return await self._account_data.changed(reader.user_id, window.after, window.upto)

    async def presence(self, reader: Reader, window: Window, rooms: Sequence[V3RoomNews]) -> list[bytes]:
        """Presence that changed in the window, and that of users who have come into sight in it."""
        wanted = reader.filter.presence
        shown = {
            item.user_id: item
            for item in await self._presence.changed(reader.user_id, window.after, window.upto)
        }
        if not window.initial:
            arrived = await self._arrived(reader, rooms)
            shown |= {item.user_id: item for item in await self._presence.of(sorted(arrived - set(shown)))}
        return [
            self._presence.event(item)
            for item in shown.values()
            if wanted is None or wanted("m.presence", item.user_id)
        ]

    async def _arrived(self, reader: Reader, rooms: Sequence[V3RoomNews]) -> set[str]:
        """Users with whom the reader has just come to share a room."""
        arrived = {user_id for news in rooms for user_id in news.arrived()}
        fresh = [news.room_id for news in rooms if news.fresh]

        async def members(tx: Transaction) -> set[str]:
            return {user for room in fresh for user in await memberships.users_in_room(tx, room)}

        if fresh:
            arrived |= await self._db.read(members)
        return arrived

    async def add(self, reader: Reader, window: Window, rooms: Sequence[V3RoomNews], data: Data) -> None:
        """Fill in what each joined room's section has beside its events."""
        by_id = {news.room_id: news for news in rooms}
        self.add_account_data(reader, rooms, data)
        await self._add_typing(reader, window, by_id)
        await self._add_receipts(reader, window, by_id)
        counts = await self._unread.counts_many(reader.user_id, list(by_id), window.upto)
        for room_id, unread in counts.items():
            by_id[room_id].unread = unread

    def add_account_data(self, reader: Reader, rooms: Sequence[V3RoomNews], data: Data) -> None:
        """Fill in each room's account data."""
        by_id = {news.room_id: news for news in rooms}
        wanted = reader.filter.room_account_data
        for room_id, type_, content in data:
            if room_id in by_id and (wanted is None or wanted(room_id, type_, reader.user_id)):
                by_id[room_id].account_data.append(event(type_, content))

    async def _add_typing(self, reader: Reader, window: Window, rooms: Mapping[str, V3RoomNews]) -> None:
        known, fresh = _wanted(reader, rooms, TYPING)
        for room_id, shown in (await self._typing.events(known, fresh, window.after, window.upto)).items():
            rooms[room_id].ephemeral.append(shown)

    async def _add_receipts(self, reader: Reader, window: Window, rooms: Mapping[str, V3RoomNews]) -> None:
        known, fresh = _wanted(reader, rooms, RECEIPT)
        for after, chosen in ((window.after, known), (0, fresh)):
            if chosen:
                receipts = await self._receipts.changed(reader.user_id, chosen, after, window.upto)
                for room_id, receipt in receipts.items():
                    rooms[room_id].ephemeral.append(receipt)


def _wanted(reader: Reader, rooms: Mapping[str, V3RoomNews], type_: str) -> tuple[list[str], list[str]]:
    """The rooms of which ephemeral events are wanted: those the client knows, and those new to it."""
    wanted = reader.filter.ephemeral
    chosen = [room_id for room_id in rooms if wanted is None or wanted(room_id, type_, "")]
    return (
        [room_id for room_id in chosen if not rooms[room_id].fresh],
        [room_id for room_id in chosen if rooms[room_id].fresh],
    )


def of_rooms(data: Data, joined: Mapping[str, Member]) -> list[str]:
    """The rooms that account data is of."""
    return [room_id for room_id, _, _ in data if room_id is not None and room_id in joined]
