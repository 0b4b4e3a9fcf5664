"""Keys of end-to-end encryption, and who has signed whose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from palpo.core import canonical_json
from palpo.services.administration.synapse_import.user_steps import UserStep, Wanted, canonical, parsed
from palpo.storage.cross_signing import KeySignature
from palpo.storage.synapse import here, there
from palpo.storage.synapse.user_rows import Row, TheirRows

USAGES = ("master", "self_signing", "user_signing")


class DeviceKeys(UserStep):
    """Keys of devices, and those that others claim."""

    name = "device keys"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """Those of devices that are there; the ones to be claimed in the order of their uploads."""
        devices = {
            (row["user_id"], row["device_id"])
            for row in await self.all_there(there.DEVICES, users)
            if not row["hidden"]
        }
        own = await self._of(there.DEVICE_KEYS, users, devices)
        one_time = await self._of(there.ONE_TIME_KEYS, users, devices)
        fallback = await self._of(there.FALLBACK_KEYS, users, devices)
        return {
            here.DEVICE_KEYS: [
                {
                    "user_id": row["user_id"],
                    "device_id": row["device_id"],
                    "json": key_json(parsed(row["key_json"])),
                }
                for row in own
            ],
            here.ONE_TIME_KEYS: [{**_named(row), "position": number} for number, row in enumerate(one_time)],
            here.FALLBACK_KEYS: [{**_named(row), "used": int(bool(row["used"]))} for row in fallback],
        }

    async def _of(self, rows: TheirRows, users: Sequence[str], devices: set[tuple[str, str]]) -> list[Row]:
        found = await self.all_there(rows, users)
        return [row for row in found if (row["user_id"], row["device_id"]) in devices]


class CrossSigning(UserStep):
    """Users' cross-signing keys, and what users have signed, of whomever it is."""

    name = "cross-signing"

    async def wanted(self, users: Sequence[str]) -> Wanted:
        """The last key of each usage; signatures of what is there still."""
        keys = await self.all_there(there.CROSS_SIGNING_KEYS, users)
        latest = latest_keys(keys)
        return {
            here.CROSS_SIGNING_KEYS: [
                {"user_id": user, "usage": usage, "key_id": key_id(key), "json": key_json(key)}
                for (user, usage), key in latest.items()
            ],
            here.CROSS_SIGNING_RESETS: _resets(keys),
            here.SIGNATURES: await self._signatures(users),
        }

    async def _signatures(self, users: Sequence[str]) -> list[Row]:
        signatures = await self.all_there(there.SIGNATURES, users)
        targets = sorted({row["target_user_id"] for row in signatures})
        keys = latest_keys(await self.all_there(there.CROSS_SIGNING_KEYS, targets))
        devices = await self.all_there(there.DEVICES, targets)
        names = {(row["user_id"], row["device_id"]): row["device_id"] for row in devices if not row["hidden"]}
        for (user, _), key in keys.items():
            names[user, key_id(key).partition(":")[2]] = key_id(key)
        found = {}
        for row in signatures:
            target = names.get((row["target_user_id"], row["target_device_id"]))
            if target is not None:
                signature = _signature(row, target)
                found[signature["signature_hash"]] = signature
        return list(found.values())


def latest_keys(rows: Sequence[Row]) -> dict[tuple[str, str], dict[str, Any]]:
    """The key that counts, by user and usage, of rows in the order in which keys were uploaded."""
    found = {
        (row["user_id"], row["keytype"]): parsed(row["keydata"]) for row in rows if row["keytype"] in USAGES
    }
    return {name: key for name, key in found.items() if len(key.get("keys", ())) == 1}


def key_id(key: dict[str, Any]) -> str:
    """The ID of the one public key in a cross-signing key."""
    (found,) = key["keys"]
    return str(found)


def key_json(key: dict[str, Any]) -> bytes:
    """A key as it is stored here."""
    return canonical_json.encode_lax({name: value for name, value in key.items() if name != "unsigned"})


def _named(row: Row) -> Row:
    return {
        "user_id": row["user_id"],
        "device_id": row["device_id"],
        "name": f"{row['algorithm']}:{row['key_id']}",
        "algorithm": row["algorithm"],
        "json": canonical(row["key_json"]),
    }


def _resets(keys: Sequence[Row]) -> list[Row]:
    """Who may replace their keys without showing who they are, and until when."""
    until = {
        row["user_id"]: row["updatable_without_uia_before_ms"] for row in keys if row["keytype"] == "master"
    }
    return [{"user_id": user, "until_ts": time} for user, time in until.items() if time is not None]


def _signature(row: Row, target: str) -> Row:
    signature = KeySignature(
        user_id=row["target_user_id"],
        target=target,
        signer_user_id=row["user_id"],
        signer_key_id=row["key_id"],
        signature=row["signature"],
    )
    return {
        "signature_hash": signature.hash,
        "user_id": signature.user_id,
        "target": target,
        "signer_user_id": signature.signer_user_id,
        "signer_key_id": signature.signer_key_id,
        "signature": signature.signature.encode(),
    }
