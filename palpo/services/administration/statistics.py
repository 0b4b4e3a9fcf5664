"""Who has most of what."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.bounds import TOP
from palpo.core.errors import InvalidParam
from palpo.core.identifiers import ServerName, UserId
from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.accounts.profiles import Profile
from palpo.storage import media_usage, profiles, room_sizes
from palpo.storage.media_usage import Uploaders, Usage
from palpo.storage.room_sizes import RoomSize

LARGEST = 10
"""Rooms that are told of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUsage:
    """What a user has uploaded, and what they are called."""

    usage: Usage
    displayname: str | None


class Statistics:
    """Counts when it is asked."""

    def __init__(self, db: Database, server_name: ServerName) -> None:
        self._db = db
        self._server_name = server_name

    async def media(
        self,
        *,
        from_ts: int = 0,
        until_ts: int | None = None,
        search: str | None = None,
        order: str = "user_id",
        backwards: bool = False,
        skipped: int = 0,
        limit: int = 100,
    ) -> tuple[int, list[UserUsage]]:
        """How many users have uploaded something within some time, and some of them, in an order of
        ``media_usage.USAGE_ORDERS``.

        ``search`` is something in the localpart of their user ID or in their name, whatever its case.
        Raises InvalidParam for a time that ends before it begins.
        """
        if until_ts is not None and until_ts <= from_ts:
            raise InvalidParam("until_ts is after from_ts")
        wanted = Uploaders(
            from_ts=from_ts,
            until_ts=TOP if until_ts is None else until_ts,
            search=search or "",
            server=self._server_name,
        )

        async def unit(tx: Transaction) -> tuple[int, list[Usage], dict[str, bytes]]:
            found = await media_usage.usage(
                tx, wanted, order=order, backwards=backwards, skipped=skipped, limit=limit
            )
            fields = await profiles.get_many(tx, [item.user_id for item in found]) if found else {}
            if len(found) < limit and (found or not skipped):
                return skipped + len(found), found, fields
            return await media_usage.usage_total(tx, wanted), found, fields

        total, found, fields = await self._db.read(unit)
        return total, [
            UserUsage(
                usage=item,
                displayname=Profile.of(UserId(item.user_id), fields.get(item.user_id)).displayname,
            )
            for item in found
        ]

    async def largest_rooms(self) -> list[RoomSize]:
        """The rooms that take most of the database, by their events."""
        return await self._db.read(lambda tx: room_sizes.largest(tx, LARGEST))
