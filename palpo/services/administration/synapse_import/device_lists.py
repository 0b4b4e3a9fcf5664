"""Device lists: of ours, which clients and other servers are told of anew, and of other servers' users."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any

from palpo.db.transaction import WriteTransaction
from palpo.services.administration.synapse_import.keys import key_json, latest_keys
from palpo.services.administration.synapse_import.steps import Batch
from palpo.services.administration.synapse_import.user_steps import UserStep, Wanted, parsed
from palpo.storage.device_lists import EVERYONE
from palpo.storage.synapse import here, there
from palpo.storage.synapse import to_device as storage
from palpo.storage.synapse.user_rows import Row
from palpo.storage.told_devices import CROSS_SIGNING

NAME = 255
"""Characters of a device's name."""


class DeviceLists(UserStep):
    """All of ours have changed: clients whose sync begins anew fetch them, and other servers are told.

    What these are told next follows what Synapse has told them last.
    """

    name = "device lists"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Of users with devices, and as what other servers know the last change."""
        devices = await self.all_there(there.DEVICES, users)
        changes = await self.there(there.DEVICE_LIST_CHANGES, users)
        told = {user: max((row["stream_id"] for row in rows), default=0) for user, rows in changes.items()}
        changed = sorted({row["user_id"] for row in devices})
        return {
            here.DEVICE_LIST_CHANGES: [
                {"user_id": user, "observer": EVERYONE, "position": number}
                for number, user in enumerate(changed)
            ],
            here.TOLD_DEVICES: [
                {"user_id": user, "device_id": CROSS_SIGNING, "stream_id": last, "hash": b""}
                for user, last in told.items()
                if last
            ],
        }

    async def batches(self, after: Any) -> AsyncIterator[Batch]:
        """At last positions leap above all numbers that other servers were told."""
        last = after
        async for batch in super().batches(after):
            last = batch.after
            yield batch
        yield Batch(after=last, rows=0, write=partial(_leap, await self._source.db.read(storage.last_change)))


class RemoteDeviceLists(UserStep):
    """Those of other servers' users that Synapse has followed: they are followed on from where it was."""

    name = "device lists of others"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Those that are in step; others are fetched when somebody wants them."""
        lost = {row["user_id"] for row in await self.all_there(there.LOST_DEVICE_LISTS, users)}
        lists = [
            row
            for row in await self.all_there(there.REMOTE_DEVICE_LISTS, users)
            if row["user_id"] not in lost
        ]
        followed = {row["user_id"] for row in lists}
        keys = latest_keys(await self.all_there(there.CROSS_SIGNING_KEYS, followed))
        devices = await self.all_there(there.REMOTE_DEVICES, followed)
        return {
            here.REMOTE_DEVICE_LISTS: [_list(row, keys) for row in lists],
            here.REMOTE_DEVICES: [found for row in devices if (found := _device(row))],
        }

    async def count(self) -> int:
        """The lists."""
        return await self._source.db.read(storage.count_lists)

    async def _users(self, after: str | None) -> list[str]:
        return await self._source.db.read(partial(storage.followed, after=after or "", limit=self.batch))

    def _ours(self, users: Sequence[str]) -> list[str]:
        return list(users)


async def _leap(last: int, tx: WriteTransaction) -> None:
    now = await tx.positions()
    if now <= last:
        await tx.positions(last - now)


def _list(row: Row, keys: dict[tuple[str, str], dict[str, Any]]) -> Row:
    user_id = row["user_id"]
    return {
        "user_id": user_id,
        "server_name": user_id.partition(":")[2],
        "position": 0,
        "changes": 0,
        "stream_id": int(row["stream_id"]) if row["stream_id"].isdecimal() else None,
        "resync_ts": None,
        "failures": 0,
        "master_key": _key(keys, user_id, "master"),
        "self_signing_key": _key(keys, user_id, "self_signing"),
    }


def _key(keys: dict[tuple[str, str], dict[str, Any]], user_id: str, usage: str) -> bytes | None:
    found = keys.get((user_id, usage))
    return None if found is None else key_json(found)


def _device(row: Row) -> Row | None:
    """A device with keys; None of one that has none."""
    content = parsed(row["content"])
    keys, name = content.get("keys"), content.get("device_display_name")
    if not isinstance(keys, dict):
        return None
    return {
        "user_id": row["user_id"],
        "device_id": row["device_id"],
        "json": key_json(keys),
        "display_name": name[:NAME] if isinstance(name, str) else None,
    }
