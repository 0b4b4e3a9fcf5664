"""The transactions that one application service is sent: which part of the streams goes into each.

Spec: application service API, "Pushing events" and "Pushing ephemeral data"; MSC2409, MSC3202, MSC4203.
The keys of the two MSCs that are not accepted are under their unstable names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from palpo.config.appservices import Registration
from palpo.core.canonical_json import decode_object, to_json
from palpo.core.identifiers import UserId
from palpo.core.records.events import StoredEvent
from palpo.db.transaction import Transaction
from palpo.services.appservices.appservice_interests import Interests
from palpo.services.encryption.keys import KeyCounts, Keys
from palpo.services.history.event_store import EventStore
from palpo.services.history.outside_memberships import stored as outside_event
from palpo.services.personal import PersonalServices
from palpo.services.personal.receipts import receipt_content
from palpo.services.reading.client_events import ClientEvents
from palpo.services.server import Server
from palpo.storage import accounts
from palpo.storage import appservices as storage
from palpo.storage import keys as keys_storage
from palpo.storage import outside_memberships as outside_storage
from palpo.storage import presence as presence_storage
from palpo.storage.outside_memberships import OutsideMembership
from palpo.storage.presence import Presence
from palpo.storage.receipts import Receipt
from palpo.streams.caches import Cache

TO_DEVICE = "de.sorunome.msc2409.to_device"
DEVICE_LISTS = "org.matrix.msc3202.device_lists"
ONE_TIME_KEYS = "org.matrix.msc3202.device_one_time_keys_count"
FALLBACK_KEYS = "org.matrix.msc3202.device_unused_fallback_key_types"
MAX_EVENTS = 100
MAX_OTHERS = 500
"""Receipts, messages to devices and the like, of each kind, that one transaction is made of."""
MAX_USERS = 200
"""Users whose key counts one transaction tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A part of the streams that ends at ``upto``; ``body`` is None where there is nothing to send."""

    upto: int
    body: bytes | None
    delivered: Sequence[int] = ()
    """Positions of messages to devices that nobody else will fetch."""
    untold: Collection[str] = ()
    """Users of ``changed_keys`` for whom there was no room."""


@dataclass(slots=True, kw_only=True)
class _Rows:
    """What there is in a part of the streams, of interest or not."""

    upto: int
    events: list[tuple[int, str]] = field(default_factory=list)
    outside: list[OutsideMembership] = field(default_factory=list)
    typing: list[tuple[int, str]] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    presence: list[Presence] = field(default_factory=list)
    messages: list[tuple[int, str, str, bytes]] = field(default_factory=list)
    device_lists: list[tuple[int, str]] = field(default_factory=list)

    def end(self, positions: Sequence[int], limit: int) -> None:
        """Where a kind has as many rows as were asked for, the part ends with the last of them."""
        if len(positions) >= limit:
            self.upto = min(self.upto, positions[-1])


class AppserviceTransactions:
    """Makes the transactions of one application service, one after the other."""

    def __init__(
        self,
        registration: Registration,
        server: Server,
        events: EventStore,
        client_events: ClientEvents,
        personal: PersonalServices,
        keys: Keys,
        interests: Interests,
        *,
        max_users: int = MAX_USERS,
    ) -> None:
        self._registration = registration
        self._db = server.db
        self._max_users = max_users
        self._events = events
        self._client_events = client_events
        self._typing = personal.typing
        self._presence = personal.presence
        self._keys = keys
        self._interests = interests
        self._told: Cache[tuple[str, str], KeyCounts] = server.caches.cache("appservice_key_counts")

    def begin(self) -> None:
        """What was made last may not have been stored: forget what came of it."""
        self._interests.forget()
        self._told.clear()

    async def next(self, after: int, upto: int, changed_keys: Collection[str] = ()) -> Batch:
        """What follows ``after``, up to ``upto`` at most.

        ``changed_keys`` are users who have more or fewer one-time keys than before.
        """
        rows = await self._db.read(lambda tx: self._rows(tx, after, upto))
        upto = rows.upto
        wanted = await self._wanted(rows)
        self._interests.reached(upto)
        body: dict[str, Any] = {"events": await self._shown(wanted)}
        if self._registration.ephemeral:
            ephemeral = await self._ephemeral(rows)
            if ephemeral:
                body[self._registration.ephemeral_key] = ephemeral
        delivered: list[int] = []
        own_changed = sorted(filter(self._interests.has_user, changed_keys))
        if self._registration.encryption:
            delivered = await self._add_encryption(body, rows, wanted, own_changed[: self._max_users])
        empty = not body["events"] and len(body) == 1
        return Batch(
            upto=upto,
            body=None if empty else msgspec.json.encode(body),
            delivered=delivered,
            untold=own_changed[self._max_users :],
        )

    async def _rows(self, tx: Transaction, after: int, upto: int) -> _Rows:
        rows = _Rows(upto=upto)
        rows.events = await storage.new_events(tx, after, upto, MAX_EVENTS)
        rows.end([position for position, _ in rows.events], MAX_EVENTS)
        rows.outside = await outside_storage.changed(tx, after=after, upto=rows.upto, limit=MAX_EVENTS)
        rows.end([item.position for item in rows.outside], MAX_EVENTS)
        if self._registration.ephemeral:
            rows.typing = await storage.typing_changes(tx, after, rows.upto, MAX_OTHERS)
            rows.end([position for position, _ in rows.typing], MAX_OTHERS)
            rows.receipts = await storage.new_receipts(tx, after, rows.upto, MAX_OTHERS)
            rows.end([item.position for item in rows.receipts], MAX_OTHERS)
            if self._presence.enabled:
                rows.presence = await presence_storage.changed(tx, after, rows.upto, MAX_OTHERS)
                rows.end([item.position for item in rows.presence], MAX_OTHERS)
        if self._registration.encryption:
            rows.messages = await storage.new_messages(tx, after, rows.upto, MAX_OTHERS)
            rows.end([item[0] for item in rows.messages], MAX_OTHERS)
            rows.device_lists = await storage.device_list_updates(tx, after, rows.upto, MAX_OTHERS)
            rows.end([position for position, _ in rows.device_lists], MAX_OTHERS)
        return rows

    async def _wanted(self, rows: _Rows) -> list[StoredEvent]:
        ids = [name for position, name in rows.events if position <= rows.upto]
        found = await self._events.get_list(ids) if ids else []
        outside = [outside_event(item) for item in rows.outside if item.position <= rows.upto]
        found = sorted([*found, *outside], key=lambda item: item.position)
        return [item for item in found if await self._interests.wants_event(item)]

    async def _shown(self, wanted: Sequence[StoredEvent]) -> list[msgspec.Raw]:
        if not wanted:
            return []
        shown = await self._client_events.render(
            wanted, user_id=UserId(self._registration.sender), device_id=None, with_room_id=True, bundle=False
        )
        return [msgspec.Raw(event) for event in shown]

    async def _ephemeral(self, rows: _Rows) -> list[Any]:
        result: list[Any] = []
        rooms = dict.fromkeys(room_id for position, room_id in rows.typing if position <= rows.upto)
        wanted = [room_id for room_id in rooms if await self._interests.wants_room(room_id)]
        typing = await self._typing.current(wanted)
        for room_id in wanted:
            content = {"user_ids": typing.get(room_id, [])}
            result.append({"type": "m.typing", "room_id": room_id, "content": content})
        for room_id, receipts in self._receipts(rows).items():
            if await self._interests.wants_room(room_id):
                content = receipt_content(receipts)
                result.append({"type": "m.receipt", "room_id": room_id, "content": content})
        for item in rows.presence:
            if item.position <= rows.upto and await self._interests.wants_user(item.user_id):
                result.append(msgspec.Raw(self._presence.event(item)))
        return result

    def _receipts(self, rows: _Rows) -> dict[str, list[Receipt]]:
        """By room; private ones only of the service's own users."""
        found: dict[str, list[Receipt]] = {}
        for item in rows.receipts:
            shown = not item.private or self._interests.has_user(item.user_id)
            if shown and item.position <= rows.upto:
                found.setdefault(item.room_id, []).append(item)
        return found

    async def _add_encryption(
        self, body: dict[str, Any], rows: _Rows, wanted: Sequence[StoredEvent], changed_keys: Sequence[str]
    ) -> list[int]:
        """Add what encryption needs to ``body``; the positions of the messages that can be deleted."""
        messages = [
            item for item in rows.messages if item[0] <= rows.upto and self._interests.has_user(item[1])
        ]
        if messages:
            body[TO_DEVICE] = [_addressed(*item) for item in messages]
        changed, left = await self._device_lists(rows, wanted)
        if changed or left:
            body[DEVICE_LISTS] = {"changed": changed, "left": left}
        users = dict.fromkeys((*changed_keys, *(user_id for _, user_id, _, _ in messages)))
        for room_id in {item.event.room_id for item in wanted if item.event.type == "m.room.encrypted"}:
            users.update(dict.fromkeys(sorted(await self._interests.users_in(room_id))))
        await self._add_key_counts(body, list(users)[: self._max_users])
        own = await self._own({item[1] for item in messages})
        return [position for position, user_id, _, _ in messages if user_id in own]

    async def _own(self, user_ids: Iterable[str]) -> set[str]:
        """Those whose messages are for the service alone: no client of theirs syncs (MSC4203)."""
        names = list(user_ids)
        own = {user_id for user_id in names if self._registration.owns_user(user_id)}
        if len(own) < len(names):
            found = await self._db.read(lambda tx: accounts.find_all(tx, names))
            own |= {item.user_id for item in found.values() if item.appservice_id == self._registration.id}
        return own

    async def _device_lists(self, rows: _Rows, wanted: Sequence[StoredEvent]) -> tuple[list[str], list[str]]:
        """Who changed their keys or came to share a room, and who shares none any more."""
        updated = {user_id for position, user_id in rows.device_lists if position <= rows.upto}
        moved: set[str] = set()
        for item in wanted:
            if await self._interests.joins_or_leaves(item) and item.event.state_key is not None:
                moved.add(item.event.state_key)
        changed: list[str] = []
        left: list[str] = []
        for user_id in sorted(updated | moved):
            if await self._interests.wants_user(user_id):
                changed.append(user_id)
            elif user_id in moved:
                left.append(user_id)
        return changed, left

    async def _add_key_counts(self, body: dict[str, Any], user_ids: Sequence[str]) -> None:
        """Add the counts of those users' devices, where they are not what was told before."""
        if not user_ids:
            return
        found = await self._db.read(lambda tx: keys_storage.all_device_keys(tx, list(user_ids)))
        one_time: dict[str, dict[str, Mapping[str, int]]] = {}
        fallback: dict[str, dict[str, Sequence[str]]] = {}
        for user_id, device_id, *_ in found:
            counts = await self._keys.counts(user_id, device_id)
            if self._told.touch((user_id, device_id)) == counts:
                continue
            self._told.keep({(user_id, device_id): counts})
            one_time.setdefault(user_id, {})[device_id] = counts.one_time_keys
            fallback.setdefault(user_id, {})[device_id] = counts.unused_fallback
        if one_time:
            body[ONE_TIME_KEYS] = one_time
            body[FALLBACK_KEYS] = fallback


def _addressed(position: int, user_id: str, device_id: str, event: bytes) -> msgspec.Raw:
    """A message to a device as an application service is shown it (MSC4203)."""
    return msgspec.Raw(to_json({**decode_object(event), "to_user_id": user_id, "to_device_id": device_id}))
