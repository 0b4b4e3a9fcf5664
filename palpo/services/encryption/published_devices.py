"""What everybody may see of a user's devices and keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

from palpo.db.transaction import Transaction
from palpo.storage import cross_signing, devices, keys
from palpo.storage.cross_signing import KeySignature

NOBODY = ""
"""The observer who sees what everybody may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDevice:
    """A device; ``keys`` is None where it has none."""

    device_id: str
    display_name: str | None
    keys: msgspec.Raw | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedDevices:
    """A user's devices, by ID, and the cross-signing keys that others see."""

    devices: Sequence[PublishedDevice]
    master_key: msgspec.Raw | None
    self_signing_key: msgspec.Raw | None


async def published(tx: Transaction, user_id: str) -> PublishedDevices:
    """All of one user's."""
    signatures = await cross_signing.signatures(tx, [user_id], observer=NOBODY)
    own = {
        device_id: merged(json, signatures.get((user_id, device_id), ()))
        for _, device_id, json, _ in await keys.all_device_keys(tx, [user_id])
    }
    signing = {
        usage: merged(key.json, signatures.get((user_id, key.key_id), ()))
        for (_, usage), key in (await cross_signing.of_users(tx, [user_id])).items()
    }
    return PublishedDevices(
        devices=[
            PublishedDevice(
                device_id=device.device_id,
                display_name=device.display_name,
                keys=own.get(device.device_id),
            )
            for device in await devices.all_of(tx, user_id)
        ],
        master_key=signing.get("master"),
        self_signing_key=signing.get("self_signing"),
    )


def merged(json: bytes, signatures: Sequence[KeySignature], display_name: str | None = None) -> msgspec.Raw:
    """A key with the signatures that were added to it, and its device's name."""
    if not signatures and display_name is None:
        return msgspec.Raw(bytes(json))
    key: dict[str, Any] = orjson.loads(json)
    for item in signatures:
        by_user = key.setdefault("signatures", {}).setdefault(item.signer_user_id, {})
        by_user[item.signer_key_id] = item.signature
    if display_name is not None:
        key["unsigned"] = {"device_display_name": display_name}
    return msgspec.Raw(orjson.dumps(key))


def key_ids(key: msgspec.Raw) -> set[str]:
    """The IDs of the public keys in a key."""
    return set(orjson.loads(bytes(key))["keys"])
