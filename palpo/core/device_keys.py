"""The shapes of end-to-end encryption keys (spec: "Key algorithms", "Device keys", "Cross-signing").

The server never uses these keys: it checks that they are whose they are said to be, and stores them
in canonical form, so that signatures still match when they are handed out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from palpo.core import canonical_json
from palpo.core.errors import BadJson, InvalidParam, TooLarge
from palpo.core.identifiers import MAX_LENGTH

MAX_KEY_BYTES = 64 * 1024
USAGES = ("master", "self_signing", "user_signing")


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadedKey:
    """A one-time or fallback key. ``name`` is ``algorithm:key_id``, ``json`` the key in canonical form."""

    name: str
    algorithm: str
    json: bytes


def encode_key(key: Any) -> bytes:
    """A key in canonical form; raises BadJson, and TooLarge where it is over 64 KiB."""
    encoded = canonical_json.encode(key)
    if len(encoded) > MAX_KEY_BYTES:
        raise TooLarge(f"A key is over {MAX_KEY_BYTES} bytes")
    return encoded


def storable(text: str) -> bool:
    """Whether ``text`` can be stored as an identifier: not empty, at most 255 bytes, no NUL."""
    return 0 < len(text) <= MAX_LENGTH and "\0" not in text and len(text.encode("utf-8")) <= MAX_LENGTH


def check_device_keys(keys: Mapping[str, Any], user_id: str, device_id: str) -> bytes:
    """A device's identity keys in canonical form, without ``unsigned``.

    Raises BadJson where they are not of the right shape, InvalidParam where they are another device's.
    """
    if (keys.get("user_id"), keys.get("device_id")) != (user_id, device_id):
        raise InvalidParam("device_keys has another user_id or device_id than the access token")
    algorithms = keys.get("algorithms")
    if type(algorithms) is not list or not all(type(item) is str for item in algorithms):
        raise BadJson("device_keys.algorithms is not a list of strings")
    if not _is_string_map(keys.get("keys")):
        raise BadJson("device_keys.keys does not map strings to strings")
    if not _are_signatures(keys.get("signatures")):
        raise BadJson("device_keys.signatures does not map user IDs to signatures")
    return encode_key({name: value for name, value in keys.items() if name != "unsigned"})


def check_uploaded_keys(keys: Mapping[str, Any]) -> list[UploadedKey]:
    """One-time or fallback keys by ``algorithm:key_id``; raises BadJson and InvalidParam."""
    checked = []
    for name, value in keys.items():
        algorithm, _, key_id = name.partition(":")
        if not algorithm or not key_id or not storable(name):
            raise InvalidParam("A one-time key is not named algorithm:key_id")
        if type(value) is dict:
            if type(value.get("key")) is not str or not _are_signatures(value.get("signatures", {})):
                raise BadJson(f"The one-time key {name} has no key, or no good signatures")
        elif type(value) is not str:
            raise BadJson(f"The one-time key {name} is neither a string nor an object")
        checked.append(UploadedKey(name=name, algorithm=algorithm, json=encode_key(value)))
    return checked


def cross_signing_key_id(key: Mapping[str, Any], user_id: str, usage: str) -> str:
    """The ``ed25519:public_key`` of a cross-signing key.

    Raises BadJson where it has not the right shape, InvalidParam where it is another user's or has
    another usage.
    """
    if key.get("user_id") != user_id:
        raise InvalidParam(f"The {usage} key has another user_id than the access token")
    usages = key.get("usage")
    if type(usages) is not list or usage not in usages:
        raise InvalidParam(f"The {usage} key has another usage")
    if not _are_signatures(key.get("signatures", {})):
        raise BadJson(f"The signatures of the {usage} key do not map user IDs to signatures")
    keys = key.get("keys")
    if not isinstance(keys, dict) or not _is_string_map(keys) or len(keys) != 1:
        raise BadJson(f"The {usage} key has not exactly one public key")
    ((key_id, public_key),) = keys.items()
    if key_id != f"ed25519:{public_key}" or not storable(key_id):
        raise InvalidParam(f"The {usage} key is not named ed25519:public_key")
    return str(key_id)


def without_signatures(key: Mapping[str, Any]) -> bytes:
    """What signatures cover, to see whether two are the same key; raises BadJson."""
    return canonical_json.encode(
        {name: value for name, value in key.items() if name not in ("signatures", "unsigned")}
    )


def _is_string_map(value: Any) -> bool:
    return type(value) is dict and all(type(item) is str for item in value.values())


def _are_signatures(value: Any) -> bool:
    return type(value) is dict and all(_is_string_map(item) for item in value.values())
