"""Account data: what clients keep on the server for themselves (spec: "Client Config", "Room Tagging").

Sync-facing:

- ``await changed(user_id, after, upto)`` → ``[(room or None, type, content bytes)]`` of what changed at a
  position in ``(after, upto]``, push rules included; with ``after`` 0, all there is. It costs a look into
  memory where nothing has changed.
- ``await ignored_users(user_id)`` → whom the user ignores, from memory mostly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from palpo.core.bounded_text import check_text
from palpo.core.canonical_json import decode_object, to_json
from palpo.core.errors import BadRequest, MatrixError, NotFound, TooLarge
from palpo.core.identifiers import RoomId, UserId
from palpo.core.records.quotas import Kind
from palpo.db.engine import Database
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.personal.push_rules import PushRules
from palpo.services.server.quotas import Quotas
from palpo.storage import account_data as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.last_changes import LastChanges
from palpo.streams.wakeups import Wakeups

IGNORED_USERS = "m.ignored_user_list"
PUSH_RULES = "m.push_rules"
FULLY_READ = "m.fully_read"
TAGS = "m.tag"
DIRECT = "m.direct"
SERVERS_OWN = frozenset((FULLY_READ, PUSH_RULES))
"""Types that the server writes: clients set them by other endpoints."""
DEVICE_SETTINGS = ("m.local_notification_settings.", "org.matrix.msc3890.local_notification_settings.")
"""Prefixes of types that go with a device, whose ID follows."""
MAX_TAGS, MAX_TAGS_BYTES = 1000, 128 * 1024
"""Tags of one room, and what they are together as JSON."""

KEPT_DELETED = 1000
"""Deletions of one user that are remembered, so that devices are told of them."""

Changed = tuple[str | None, str, bytes]


class AccountData:
    """Reads and changes account data."""

    def __init__(
        self, db: Database, wakeups: Wakeups, push_rules: PushRules, caches: CacheBudget, quotas: Quotas
    ) -> None:
        self._db = db
        self._quotas = quotas
        self._push_rules = push_rules
        self._last = LastChanges(wakeups, topics.ACCOUNT_DATA, caches)
        self._ignored: Cache[str, frozenset[str]] = caches.cache("ignored_users")
        wakeups.listen(topics.ACCOUNT_DATA, self._ignored.forget)

    async def changed(self, user_id: UserId, after: int, upto: int) -> list[Changed]:
        """What changed at a position in ``(after, upto]``; see the module's docstring."""
        if after and not self._last.changed_since(user_id, after, upto):
            return []
        found = await self._db.read(lambda tx: storage.changed(tx, user_id, after, upto))
        if after < await self._push_rules.position(user_id) or not after:
            found.append((None, PUSH_RULES, await self._push_rules.content(user_id)))
        return found

    async def get(self, user_id: UserId, room_id: RoomId | None, type_: str) -> bytes:
        """The content, a JSON object; raises NotFound, InvalidParam."""
        check_text(type_, "The type")
        if type_ == PUSH_RULES and room_id is None:
            return await self._push_rules.content(user_id)
        found = await self._db.read(lambda tx: storage.get(tx, user_id, room_id, type_))
        if found is None:
            raise NotFound("Account data not found")
        return found

    async def put(self, user_id: UserId, room_id: RoomId | None, type_: str, content: dict[str, Any]) -> None:
        """Store content; an empty object deletes (MSC3391).

        Raises M_BAD_JSON (405) for types that the server writes, InvalidParam, and what quotas do.
        """
        check_text(type_, "The type")
        if type_ in SERVERS_OWN:
            raise MatrixError(f"{type_} cannot be set through this API", status=405, errcode="M_BAD_JSON")
        await self.write(user_id, room_id, type_, to_json(content) if content else None)

    async def delete(self, user_id: UserId, room_id: RoomId | None, type_: str) -> None:
        """Delete what is there, if anything is (MSC3391); raises as ``put`` does."""
        await self.put(user_id, room_id, type_, {})

    async def write(self, user_id: UserId, room_id: RoomId | None, type_: str, content: bytes | None) -> None:
        """Store content of any type, or delete it."""

        async def unit(tx: WriteTransaction) -> None:
            # The position comes first: its lock keeps two writes of one type apart.
            position = await tx.positions()
            await self._put(tx, user_id, room_id, type_, content, position)

        await self._db.write(unit)

    async def change(
        self,
        user_id: UserId,
        room_id: RoomId | None,
        type_: str,
        change: Callable[[dict[str, Any]], dict[str, Any]],
    ) -> None:
        """Store what ``change`` makes of the content that is there, if there is any and it makes another."""

        async def unit(tx: WriteTransaction) -> None:
            # The position comes first: its lock keeps two changes of one content apart.
            position = await tx.positions()
            stored = await storage.get(tx, user_id, room_id, type_)
            if stored is None:
                return
            before = decode_object(stored)
            after = change(before)
            if after != before:
                await storage.put(tx, user_id, room_id, type_, to_json(after), position)

        await self._db.write(unit)

    async def tags(self, user_id: UserId, room_id: RoomId) -> dict[str, Any]:
        """The tags that the user has put on a room."""
        return _tags(await self._db.read(lambda tx: storage.get(tx, user_id, room_id, TAGS)))

    async def put_tag(self, user_id: UserId, room_id: RoomId, tag: str, content: dict[str, Any]) -> None:
        """Put a tag on a room; raises InvalidParam, BadRequest, TooLarge."""
        check_text(tag, "A tag")
        await self._change_tags(user_id, room_id, lambda tags: {**tags, tag: content})

    async def put_tags(self, user_id: UserId, room_id: RoomId, tags: dict[str, Any]) -> None:
        """Put several tags on a room, all or none; raises as ``put_tag`` does."""
        await self._change_tags(user_id, room_id, lambda before: {**before, **tags})

    async def delete_tag(self, user_id: UserId, room_id: RoomId, tag: str) -> None:
        """Take a tag off a room, if it is there."""
        await self._change_tags(
            user_id, room_id, lambda tags: {name: value for name, value in tags.items() if name != tag}
        )

    async def ignored_users(self, user_id: str) -> frozenset[str]:
        """Whom the user ignores (spec: "Ignoring Users")."""

        async def read() -> frozenset[str]:
            return _ignored(await self._db.read(lambda tx: storage.get(tx, user_id, None, IGNORED_USERS)))

        return await self._ignored.get_or_read(user_id, read)

    async def forget_devices(self, tx: WriteTransaction, user_id: UserId, device_ids: Sequence[str]) -> None:
        """Delete the settings that go with devices (MSC3890), within the unit that removes them."""
        for device_id in device_ids:
            for prefix in DEVICE_SETTINGS:
                type_ = f"{prefix}{device_id}"
                if len(type_.encode()) <= 255:
                    await self._put(tx, user_id, None, type_, None, await tx.positions())

    async def _change_tags(
        self, user_id: UserId, room_id: RoomId, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> None:
        async def unit(tx: WriteTransaction) -> None:
            # The position comes first: its lock keeps two changes of one room's tags apart.
            position = await tx.positions()
            before = _tags(await storage.get(tx, user_id, room_id, TAGS))
            after = change(before)
            if len(after) > MAX_TAGS:
                raise BadRequest(f"A room may have {MAX_TAGS} tags")
            content = to_json({"tags": after})
            if len(content) > MAX_TAGS_BYTES:
                raise TooLarge("There is too much in the room's tags")
            if after != before:
                await self._put(tx, user_id, room_id, TAGS, content, position)

        await self._db.write(unit)

    async def _put(
        self,
        tx: WriteTransaction,
        user_id: UserId,
        room_id: RoomId | None,
        type_: str,
        content: bytes | None,
        position: int,
    ) -> None:
        """Store content, or delete what there is, where the user may have so much."""
        size = await storage.size(tx, user_id, room_id, type_)
        if content is None and size is None:
            return
        await self._quotas.charge(
            tx,
            user_id,
            {
                Kind.ACCOUNT_DATA: (content is not None) - (size is not None),
                Kind.ACCOUNT_DATA_BYTES: len(content or b"") - (size or 0),
            },
        )
        await storage.put(tx, user_id, room_id, type_, content, position)
        if content is None:
            await storage.forget_deleted(tx, user_id, keep=KEPT_DELETED)


async def room_content(tx: Transaction, user_id: UserId, room_id: RoomId, type_: str) -> dict[str, Any]:
    """Account data of a room within a unit of work, empty where there is none."""
    stored = await storage.get(tx, user_id, room_id, type_)
    return {} if stored is None else decode_object(stored)


def event(type_: str, content: bytes) -> bytes:
    """The event that a client is shown."""
    return b'{"type":%b,"content":%b}' % (msgspec.json.encode(type_), content)


def _tags(content: bytes | None) -> dict[str, Any]:
    tags = decode_object(content).get("tags") if content is not None else None
    return tags if isinstance(tags, dict) else {}


def _ignored(content: bytes | None) -> frozenset[str]:
    users = decode_object(content).get("ignored_users") if content is not None else None
    return frozenset(users) if isinstance(users, dict) else frozenset()
