"""What users have and do: rooms, media, pushers, account data, invites."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from functools import partial

import orjson

from palpo.core.bounds import TOP
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import RoomId, UserId
from palpo.core.membership import INVITE, JOIN
from palpo.core.records.media import MediaRecord
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.administration.user_lists import UserLists
from palpo.services.media.media_cleanup import MediaCleanup
from palpo.storage import account_data, dehydrated_devices, memberships, pushers, user_history, user_media
from palpo.storage.pushers import Pusher
from palpo.storage.user_history import MembershipChange
from palpo.streams.turns import Turns

BATCH = 500


class UserDetails:
    """Looks at what users have."""

    def __init__(self, db: Database, lists: UserLists, cleanup: MediaCleanup) -> None:
        self._db = db
        self._lists = lists
        self._cleanup = cleanup

    async def joined_rooms(self, user_id: UserId) -> list[str]:
        """The rooms that a user is in, of this server or another, as far as is known here."""
        return sorted(await self._db.read(lambda tx: memberships.joined_rooms(tx, user_id)))

    async def memberships(self, user_id: UserId) -> dict[RoomId, str]:
        """What a user is, was or might be in rooms, as far as is known here."""
        return {room_id: membership async for room_id, membership in self._rooms(user_id)}

    async def count_invites(self, user_id: UserId, *, from_ts: int) -> int:
        """How many invites a user has sent since a time."""
        return sum([1 async for _, item in self._changes(user_id, from_ts) if _invites(item, user_id)])

    async def count_joined(self, user_id: UserId, *, from_ts: int) -> int:
        """How many rooms a user has joined since a time, whether or not they are still there."""
        rooms = {room_id async for room_id, item in self._changes(user_id, from_ts) if _joins(item, user_id)}
        return len(rooms)

    async def account_data(self, user_id: UserId) -> Mapping[str, Mapping[str, bytes]]:
        """What a user has stored: by room, with "" for what is of none, by type, as JSON; raises NotFound."""
        await self._lists.account(user_id)
        found: defaultdict[str, dict[str, bytes]] = defaultdict(dict)
        rows = await self._db.read(lambda tx: account_data.changed(tx, user_id, 0, TOP))
        for room_id, type_, content in rows:
            found[room_id or ""][type_] = content
        return found

    async def pushers(self, user_id: UserId) -> list[Pusher]:
        """A user's pushers; raises NotFound, InvalidParam."""
        await self._lists.account(user_id)
        return await self._db.read(lambda tx: pushers.of_users(tx, [user_id]))

    async def dehydrated_device(self, user_id: UserId) -> str | None:
        """The ID of the user's device that is kept encrypted here."""
        found = await self._db.read(lambda tx: dehydrated_devices.find(tx, user_id))
        return None if found is None else found.device_id

    async def media(
        self,
        user_id: UserId,
        *,
        order: str = "created_ts",
        backwards: bool = True,
        skipped: int = 0,
        limit: int = 100,
    ) -> tuple[int, list[MediaRecord]]:
        """How many media a user has, and some of them; raises NotFound, InvalidParam."""
        await self._lists.account(user_id)
        if order not in user_media.ORDERS:
            raise InvalidParam(f"order_by is one of {', '.join(user_media.ORDERS)}")

        async def unit(tx: Transaction) -> tuple[int, list[MediaRecord]]:
            found = await user_media.page(
                tx, user_id, order=order, backwards=backwards, skipped=skipped, limit=limit
            )
            return await user_media.total(tx, user_id), found

        return await self._db.read(unit)

    async def delete_media(
        self, user_id: UserId, *, order: str, backwards: bool, skipped: int, limit: int
    ) -> list[str]:
        """Delete some of a user's media, as ``media`` lists them; their IDs. Raises as that does."""
        _, found = await self.media(user_id, order=order, backwards=backwards, skipped=skipped, limit=limit)
        for record in found:
            await self._cleanup.delete(record.origin, record.media_id)
        return [record.media_id for record in found]

    async def _rooms(self, user_id: UserId) -> AsyncIterator[tuple[RoomId, str]]:
        after = ""
        while found := await self._db.read(
            partial(user_history.rooms_of, user_id=user_id, after=after, limit=BATCH)
        ):
            for row in found:
                yield row
            after = found[-1][0]

    async def _changes(self, user_id: UserId, from_ts: int) -> AsyncIterator[tuple[RoomId, MembershipChange]]:
        turns = Turns()
        async for room_id, _ in self._rooms(user_id):
            read = partial(user_history.membership_changes, room_id=room_id, user_id=user_id, from_ts=from_ts)
            for item in await self._db.read(read):
                await turns.breathe()
                yield room_id, item


def _invites(item: MembershipChange, user_id: str) -> bool:
    return item.sender == user_id and item.state_key != user_id and _membership(item) == INVITE


def _joins(item: MembershipChange, user_id: str) -> bool:
    return item.state_key == user_id and _membership(item) == JOIN


def _membership(item: MembershipChange) -> object:
    return orjson.loads(item.pdu).get("content", {}).get("membership")
