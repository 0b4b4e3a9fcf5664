"""Keys that a client would make, signed."""

from __future__ import annotations

import hashlib
from typing import Any

from palpo.core.signing import SigningKey, sign_json


def signing_key(name: str, key_id: str = "ed25519:x") -> SigningKey:
    """A key that is the same every time for one ``name``."""
    return SigningKey(key_id=key_id, seed=hashlib.sha256(name.encode()).digest())


def sign_as(obj: dict[str, Any], user_id: str, key: SigningKey, key_id: str) -> dict[str, Any]:
    """``obj`` with a signature by ``key`` under any key ID."""
    signed = sign_json({**obj, "signatures": {}}, user_id, key)
    signature = signed["signatures"][user_id][key.key_id]
    theirs = {**obj.get("signatures", {}).get(user_id, {}), key_id: signature}
    return {**obj, "signatures": {**obj.get("signatures", {}), user_id: theirs}}


def device_keys(user_id: str, device_id: str, name: str = "device") -> dict[str, Any]:
    """Identity keys of a device, signed by itself."""
    key = signing_key(name + device_id)
    keys = {
        "user_id": user_id,
        "device_id": device_id,
        "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
        "keys": {
            f"ed25519:{device_id}": key.verify_key_base64,
            f"curve25519:{device_id}": signing_key("curve" + name).verify_key_base64,
        },
    }
    return sign_as(keys, user_id, key, f"ed25519:{device_id}")


def one_time_key(user_id: str, device_id: str, number: int) -> dict[str, Any]:
    """A signed one-time key."""
    key = {"key": signing_key(f"otk{number}").verify_key_base64}
    return sign_as(key, user_id, signing_key("device" + device_id), f"ed25519:{device_id}")


def one_time_keys(user_id: str, device_id: str, *numbers: int) -> dict[str, Any]:
    """One-time keys by name."""
    return {f"signed_curve25519:{n}": one_time_key(user_id, device_id, n) for n in numbers}


def cross_signing_key(
    user_id: str, usage: str, name: str, master: SigningKey | None = None
) -> dict[str, Any]:
    """A cross-signing key, signed by ``master`` where one is given."""
    public_key = signing_key(name).verify_key_base64
    key = {"user_id": user_id, "usage": [usage], "keys": {f"ed25519:{public_key}": public_key}}
    if master is None:
        return key
    return sign_as(key, user_id, master, f"ed25519:{master.verify_key_base64}")


def cross_signing_keys(user_id: str, name: str) -> dict[str, Any]:
    """A body of /keys/device_signing/upload; the keys are those of ``signing_key(name + usage)``."""
    master = signing_key(name + "master")
    return {
        "master_key": cross_signing_key(user_id, "master", name + "master"),
        "self_signing_key": cross_signing_key(user_id, "self_signing", name + "self_signing", master),
        "user_signing_key": cross_signing_key(user_id, "user_signing", name + "user_signing", master),
    }
