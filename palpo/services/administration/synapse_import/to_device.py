"""Messages that devices have not fetched yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from functools import partial
from itertools import groupby
from typing import Any

from palpo.core.canonical_json import to_json
from palpo.db.transaction import Transaction, WriteTransaction
from palpo.services.administration.synapse_import.page_steps import PageStep
from palpo.services.administration.synapse_import.user_steps import parsed
from palpo.storage import devices
from palpo.storage import to_device as storage
from palpo.storage.synapse import here
from palpo.storage.synapse import to_device as their_storage
from palpo.storage.synapse.user_rows import Row

SHOWN = ("content", "sender", "type")
"""What clients see of a message."""
LAST = 2**63 - 1
Device = tuple[str, str]
"""``(user, device)``."""


class ToDevice(PageStep):
    """Each device's messages, in their order."""

    name = "messages to devices"
    pages = their_storage.MESSAGES

    async def write(self, rows: Sequence[Sequence[Any]], tx: WriteTransaction) -> None:
        """Those to devices that are here."""
        theirs = list(map(self.pages.named, rows))
        known = await _known(tx, {row["user_id"] for row in theirs})
        messages = [row for row in theirs if _device(row) in known]
        await here.TO_DEVICE.put(tx, [_message(number, row) for number, row in enumerate(messages)])

    async def differences(self) -> AsyncIterator[str]:
        """Message by message."""
        after: Any = None
        at: dict[Device, int] = {}
        while rows := await self.page(after):
            after = self.key(rows[-1])
            theirs = list(map(self.pages.named, rows))
            known = await self.db.read(partial(_known, users={row["user_id"] for row in theirs}))
            for device, found in groupby(theirs, _device):
                events = list(map(_event, found))
                if device not in known:
                    continue
                waiting, at[device] = await self.db.read(
                    partial(_after, device=device, position=at.get(device, 0), limit=len(events))
                )
                if waiting != events:
                    yield f"to {' '.join(device)}: not here as they are there"


def _device(row: Row) -> Device:
    return row["user_id"], row["device_id"]


async def _known(tx: Transaction, users: Collection[str]) -> set[Device]:
    """The users' devices."""
    found = await devices.ids_of(tx, sorted(users))
    return {(user, device_id) for user, device_ids in found.items() for device_id in device_ids}


async def _after(tx: Transaction, device: Device, position: int, limit: int) -> tuple[list[bytes], int]:
    """The next messages of a device, and where the last of them is."""
    found = await storage.pending(tx, *device, after=position, upto=LAST, limit=limit)
    return [bytes(event) for _, event in found], max((place for place, _ in found), default=position)


def _message(number: int, row: Row) -> Row:
    return {
        "position": number,
        "user_id": row["user_id"],
        "device_id": row["device_id"],
        "event": _event(row),
        "sender": str(parsed(row["message_json"]).get("sender", "")),
    }


def _event(row: Row) -> bytes:
    message = parsed(row["message_json"])
    return to_json({name: message[name] for name in SHOWN if name in message})
