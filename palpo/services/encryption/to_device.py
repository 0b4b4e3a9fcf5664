"""Messages to devices (spec: "Send-to-Device messaging"): sending, and each device's queue.

Those to users of other servers are handed over to whoever tells these; what such servers send is received.

For sync::

    await to_device.delete_up_to(user_id, device_id, since)      # the client has what came before
    pending = await to_device.pending(user_id, device_id, since, upto, limit=100)
    pending.events         # a list of msgspec.Raw, each a whole event's JSON
    pending.position       # what the client has now: ``upto``, or less where more messages wait

``pending.position`` is the ``since`` of the next call: where it is below ``upto`` the sync token must
remember it. Both calls answer from memory where the queue is known to be empty. An appended message
wakes ``user:@id``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from palpo.core import canonical_json
from palpo.core.device_keys import storable
from palpo.core.errors import InvalidParam, TooLarge
from palpo.core.identifiers import ServerName, UserId, is_user_id, server_name_of
from palpo.db.engine import Database
from palpo.db.errors import UniqueViolation
from palpo.db.transaction import WriteTransaction
from palpo.services.accounts.sessions import Requester
from palpo.services.encryption.remote_keys import RemoteDevices
from palpo.services.encryption.to_device_backlogs import ToDeviceBacklogs
from palpo.storage import devices
from palpo.storage import to_device as storage
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.clock import Clock
from palpo.streams.last_changes import LastChanges
from palpo.streams.turns import Turns
from palpo.streams.wakeups import Wakeups

ALL_DEVICES = "*"
TRANSACTION_MS = 24 * 3600 * 1000
"""How long a transaction ID is remembered."""
PRUNE_MS = 3600 * 1000
MAX_EVENT = 64 * 1024
"""Bytes of one message: as many as an event in a room has."""
MAX_USERS = 5_000
"""Users in one request: clients send to some hundred devices at a time."""
FEW = 20
"""Messages of which it is not asked first whether their devices are there."""
Messages = Mapping[str, Mapping[str, Mapping[str, Any]]]
"""User ID → device ID, or ``*`` → content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What one request may add to queues: ``*`` has one message copied to many."""

    messages: int = 5_000
    bytes: int = 32 * 1024 * 1024


MOST = Added()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Messages that wait for a device; everything up to ``position`` is among them or was before."""

    events: list[msgspec.Raw]
    position: int


class ToDevice:
    """Queues of messages to devices."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        caches: CacheBudget,
        backlogs: ToDeviceBacklogs,
        remote: RemoteDevices | None,
        *,
        server_name: ServerName,
        most: Added = MOST,
    ) -> None:
        self._db = db
        self._most = most
        self._backlogs = backlogs
        self._remote = remote
        self._clock = clock
        self._server_name = server_name
        self._wakeups = wakeups
        self._last = LastChanges(wakeups, topics.TO_DEVICE, caches)
        self._emptied: Cache[tuple[str, str], int] = caches.cache("emptied_queues")
        """Up to which position a queue is known to be empty."""
        self._pruned_ts = 0

    async def send(self, requester: Requester, event_type: str, txn_id: str, messages: Messages) -> int:
        """Append messages to the queues of devices, once for each transaction ID; how many bytes.

        Devices and users of this server that are not known are passed over. Raises InvalidParam, BadJson and
        TooLarge.
        """
        if not storable(event_type) or not storable(txn_id):
            raise InvalidParam("An event type and a transaction ID have 1 to 255 bytes, and no NUL")
        check_users(len(messages))
        encoded = await _encoded(await self._known(messages), event_type, requester.user_id)
        elsewhere = await self._elsewhere(messages, event_type, requester.user_id)
        hash_ = storage.transaction_hash(
            requester.user_id, requester.device_id or "", "sendToDevice", event_type, txn_id
        )
        now = self._clock.now_ms()
        prune = now - self._pruned_ts > PRUNE_MS

        async def unit(tx: WriteTransaction) -> int:
            if prune:
                await storage.prune_transactions(tx, before_ts=now - TRANSACTION_MS)
            if not await storage.begin_transaction(tx, hash_, now_ms=now):
                return 0
            size = await self._append(tx, requester.user_id, encoded)
            if self._remote is not None and elsewhere:
                size += await self._remote.send(tx, requester.user_id, event_type, elsewhere)
            return size

        try:
            size = await self._db.write(unit)
        except UniqueViolation:
            return 0  # Another process has just carried out the same transaction.
        if prune:
            self._pruned_ts = now
        return size

    async def receive(
        self, origin: ServerName, sender: UserId, event_type: str, message_id: str, messages: Messages
    ) -> None:
        """Append messages that another server sends, once for each ``message_id`` of its own.

        Devices that are not known are passed over. Raises InvalidParam, BadJson and TooLarge.
        """
        if not storable(event_type) or not storable(message_id):
            raise InvalidParam("An event type and a message_id have 1 to 255 bytes, and no NUL")
        check_users(len(messages))
        encoded = await _encoded(await self._known(messages), event_type, sender)
        if not any(encoded.values()):
            return
        hash_ = storage.transaction_hash(origin, message_id)

        async def unit(tx: WriteTransaction) -> None:
            if await storage.begin_message(tx, hash_, now_ms=self._clock.now_ms()):
                await self._append(tx, sender, encoded)

        with contextlib.suppress(UniqueViolation):  # Another process has just received the same.
            await self._db.write(unit)

    async def _elsewhere(self, messages: Messages, event_type: str, sender: str) -> Messages:
        """Those messages that are for users of other servers; raises BadJson and TooLarge."""
        remote = {
            user: {device: content for device, content in by_device.items() if storable(device)}
            for user, by_device in messages.items()
            if is_user_id(user) and server_name_of(user) != self._server_name
        }
        turns = Turns()
        for by_device in remote.values():
            for content in by_device.values():
                await turns.breathe()
                # Signatures of requests between servers have no place for floats.
                canonical_json.encode(content)
                _event(event_type, sender, content)
        return remote

    async def _known(self, messages: Messages) -> Messages:
        """Those messages that may be for a device here; of many, only those to devices that are."""
        local = {
            user: by_device
            for user, by_device in messages.items()
            if _possible(user) and server_name_of(user) == self._server_name
        }
        if sum(map(len, local.values())) <= FEW:
            return local
        known = await self._db.read(lambda tx: devices.ids_of(tx, list(local)))
        return {
            user: {each: content for each, content in local[user].items() if each in {*theirs, ALL_DEVICES}}
            for user, theirs in known.items()
        }

    async def _append(
        self, tx: WriteTransaction, sender: str, messages: Mapping[str, Mapping[str, bytes]]
    ) -> int:
        """Append events (JSON as clients see them) to queues: their bytes; raises TooLarge for too many."""
        known = await devices.ids_of(tx, list(messages))
        rows = []
        for user_id in messages:
            theirs = known.get(user_id, set())
            for device_id, event in messages[user_id].items():
                if device_id == ALL_DEVICES:
                    rows += [(user_id, each, event) for each in sorted(theirs)]
                elif device_id in theirs:
                    rows.append((user_id, device_id, event))
        size = sum(len(event) for *_, event in rows)
        if len(rows) > self._most.messages or size > self._most.bytes:
            raise TooLarge("Too many or too large messages in one request")
        if rows:
            await storage.enqueue(tx, rows, sender=sender)
            await self._backlogs.added(tx, rows)
        return size

    async def pending(
        self, user_id: str, device_id: str, since: int, upto: int, *, limit: int = 100
    ) -> Pending:
        """What waits for a device in ``(since, upto]``, at most ``limit`` messages."""
        key = (user_id, device_id)
        known_empty = max(since, self._emptied.touch(key) or 0)
        if not self._last.changed_since(user_id, known_empty, upto):
            return Pending(events=[], position=upto)
        rows = await self._db.read(
            lambda tx: storage.pending(tx, user_id, device_id, after=since, upto=upto, limit=limit)
        )
        position = rows[-1][0] if len(rows) == limit else upto
        return Pending(events=[msgspec.Raw(bytes(event)) for _, event in rows], position=position)

    async def delete_up_to(self, user_id: str, device_id: str, since: int) -> None:
        """The device has acknowledged what came at positions up to and including ``since``."""
        since = min(since, self._wakeups.position)  # A client may claim to have seen the future.
        key = (user_id, device_id)
        if not self._last.changed_since(user_id, self._emptied.touch(key) or 0, since):
            return
        first = await self._db.read(lambda tx: storage.first_position(tx, user_id, device_id))
        if first is not None and first <= since:
            await self._db.write(lambda tx: storage.delete_up_to(tx, user_id, device_id, since))
        self._emptied.keep({key: max(since, self._emptied.touch(key) or 0)})


def check_users(number: int) -> None:
    """Raises TooLarge for messages to too many users at once."""
    if number > MAX_USERS:
        raise TooLarge(f"Messages to more than {MAX_USERS} users at once")


def _possible(user_id: str) -> bool:
    return user_id.startswith("@") and ":" in user_id and storable(user_id)


async def _encoded(messages: Messages, event_type: str, sender: str) -> dict[str, dict[str, bytes]]:
    """``messages`` as whole events' JSON, those to impossible IDs left out; raises TooLarge."""
    turns = Turns()
    encoded: dict[str, dict[str, bytes]] = {}
    size = 0
    for user_id, by_device in messages.items():
        events = encoded[user_id] = {}
        for device_id, content in by_device.items():
            await turns.breathe()
            if storable(device_id):
                events[device_id] = _event(event_type, sender, content)
                size += len(events[device_id])
        if size > MOST.bytes:
            raise TooLarge("Too large messages in one request")
    return encoded


def _event(event_type: str, sender: str, content: Mapping[str, Any]) -> bytes:
    event = canonical_json.encode_lax({"type": event_type, "sender": sender, "content": content})
    if len(event) > MAX_EVENT:
        raise TooLarge(f"A message is over {MAX_EVENT} bytes")
    return event
