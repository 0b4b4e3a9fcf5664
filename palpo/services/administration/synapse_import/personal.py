"""What users keep on the server for themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from palpo.core.canonical_json import to_json
from palpo.core.identifiers import UserId
from palpo.services.administration.synapse_import.user_steps import UserStep, Wanted, parsed
from palpo.storage.pushers import Pusher, pusher_row
from palpo.storage.synapse import here, there
from palpo.storage.synapse.user_rows import Row

NOTICE = "m.server_notice"
"""The tag of the room in which a user is sent notices."""


class AccountData(UserStep):
    """Account data, of rooms and of none, tags among it, and where a user is sent notices."""

    name = "account data"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Content as it is there, in the order in which it was stored."""
        own = await self.all_there(there.ACCOUNT_DATA, users)
        of_rooms = await self.all_there(there.ROOM_ACCOUNT_DATA, users)
        tags = _tags(await self.all_there(there.TAGS, users))
        rows = [
            *(_data(row["user_id"], "", row["account_data_type"], parsed(row["content"])) for row in own),
            *(
                _data(row["user_id"], row["room_id"], row["account_data_type"], parsed(row["content"]))
                for row in of_rooms
            ),
            *(_data(user, room, "m.tag", {"tags": found}) for (user, room), found in tags.items()),
        ]
        return {
            here.ACCOUNT_DATA: [row | {"position": number} for number, row in enumerate(rows)],
            here.NOTICE_ROOMS: _notice_rooms(tags),
        }


class Filters(UserStep):
    """Filters, by the numbers that clients know them by."""

    name = "filters"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Each as its client has made it."""
        rows = await self.all_there(there.FILTERS, users)
        return {
            here.FILTERS: [
                {
                    "user_id": row["full_user_id"],
                    "filter_id": str(row["filter_id"]),
                    "filter": to_json(parsed(bytes(row["filter_json"]))),
                    "position": number,
                }
                for number, row in enumerate(rows)
            ]
        }


class Pushers(UserStep):
    """Pushers, which are told of what comes after the import."""

    name = "pushers"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Those that are not turned off."""
        rows = await self.all_there(there.PUSHERS, users)
        return {here.PUSHERS: [_pusher(row) for row in rows if row["enabled"] not in (0, False)]}


class ThreadSubscriptions(UserStep):
    """Which threads users follow (MSC4306)."""

    name = "thread subscriptions"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Those that were ended, too."""
        rows = await self.all_there(there.THREAD_SUBSCRIPTIONS, users)
        return {
            here.THREAD_SUBSCRIPTIONS: [
                {
                    "user_id": row["user_id"],
                    "room_id": row["room_id"],
                    "root_id": row["event_id"],
                    "subscribed": int(bool(row["subscribed"])),
                    "automatic": int(bool(row["automatic"])),
                    "position": number,
                }
                for number, row in enumerate(rows)
            ]
        }


Tags = Mapping[tuple[str, str], Mapping[str, Any]]
"""By user and room, the content of each tag."""


def _tags(rows: Sequence[Row]) -> Tags:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        found.setdefault((row["user_id"], row["room_id"]), {})[row["tag"]] = parsed(row["content"])
    return found


def _notice_rooms(tags: Tags) -> list[Row]:
    rooms = {user: room for (user, room), found in sorted(tags.items()) if NOTICE in found}
    return [{"user_id": user, "room_id": room} for user, room in rooms.items()]


def _data(user_id: str, room_id: str, type_: str, content: Any) -> Row:
    return {"user_id": user_id, "room_id": room_id, "type": type_, "content": to_json(content)}


def _pusher(row: Row) -> Row:
    pusher = Pusher(
        user_id=UserId(row["user_name"]),
        device_id=row["device_id"],
        app_id=row["app_id"],
        pushkey=row["pushkey"],
        kind=row["kind"],
        app_display_name=row["app_display_name"],
        device_display_name=row["device_display_name"],
        profile_tag=row["profile_tag"],
        lang=row["lang"] or "",
        data=to_json(parsed(row["data"]) or {}),
        created_ts=row["ts"],
        position=0,
    )
    return pusher_row(pusher)
