"""What other servers tell of their users' devices, as far as it has the right shape and size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from palpo.core.device_keys import check_device_keys, cross_signing_key_id, encode_key, storable
from palpo.core.errors import MatrixError
from palpo.core.identifiers import UserId
from palpo.services.federation.servers.remote_answers import Malformed, convert
from palpo.storage.remote_device_lists import RemoteDevice
from palpo.streams.turns import Turns

MAX_DEVICES = 500
"""Of one user that count: as many as a user may have here."""
MAX_LIST = 1024 * 1024
"""Bytes of the keys of all of one user's devices."""
MAX_DISPLAY_NAME = 255
"""Characters that are kept."""


class DeviceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A device within the answer to /user/devices."""

    device_id: str
    keys: Any = None
    device_display_name: Any = None


class DevicesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to /user/devices."""

    user_id: str
    stream_id: int
    devices: list[DeviceAnswer]
    master_key: Any = None
    self_signing_key: Any = None


class KeysAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to /user/keys/query."""

    device_keys: dict[str, Any] | None = None
    master_keys: dict[str, Any] | None = None
    self_signing_keys: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedDevices:
    """One user's devices and cross-signing keys; ``stream_id`` is None where it was not told."""

    user_id: UserId
    stream_id: int | None
    devices: tuple[RemoteDevice, ...]
    master_key: bytes | None
    self_signing_key: bytes | None


def of_devices_answer(user_id: UserId, answer: Mapping[str, Any]) -> ReceivedDevices:
    """What /user/devices answered; raises Malformed."""
    told = convert(answer, DevicesAnswer)
    if told.user_id != user_id or not is_stream_id(told.stream_id):
        raise Malformed("The devices are another user's, or have no stream_id")
    found = [device(user_id, item.device_id, item.keys, item.device_display_name) for item in told.devices]
    return ReceivedDevices(
        user_id=user_id,
        stream_id=told.stream_id,
        devices=_bounded(found),
        master_key=signing_key(user_id, "master", told.master_key),
        self_signing_key=signing_key(user_id, "self_signing", told.self_signing_key),
    )


async def of_keys_answer(user_ids: Iterable[UserId], answer: Mapping[str, Any]) -> list[ReceivedDevices]:
    """What /user/keys/query answered of the users that it was asked for; raises Malformed."""
    told, turns, found = convert(answer, KeysAnswer), Turns(), []
    for user_id in user_ids:
        devices = []
        for device_id, keys in _object(_object(told.device_keys).get(user_id)).items():
            await turns.breathe()
            devices.append(device(user_id, device_id, keys, _name_within(keys)))
        found.append(
            ReceivedDevices(
                user_id=user_id,
                stream_id=None,
                devices=_bounded(devices),
                master_key=signing_key(user_id, "master", _object(told.master_keys).get(user_id)),
                self_signing_key=signing_key(
                    user_id, "self_signing", _object(told.self_signing_keys).get(user_id)
                ),
            )
        )
    return found


def is_stream_id(value: int) -> bool:
    """Whether a number can be stored."""
    return 0 <= value < 2**63


def device(user_id: UserId, device_id: str, keys: Any, display_name: Any) -> RemoteDevice | None:
    """A device; None where it has no keys, or none that are its own."""
    if type(keys) is not dict or not storable(device_id):
        return None
    try:
        json = check_device_keys(keys, user_id, device_id)
    except MatrixError:
        return None
    return RemoteDevice(user_id=user_id, device_id=device_id, json=json, display_name=_name(display_name))


def signing_key(user_id: UserId, usage: str, key: Any) -> bytes | None:
    """A cross-signing key in canonical form; None where it is none of that usage."""
    if type(key) is not dict:
        return None
    try:
        cross_signing_key_id(key, user_id, usage)
        return encode_key({name: value for name, value in key.items() if name != "unsigned"})
    except MatrixError:
        return None


def _bounded(devices: Iterable[RemoteDevice | None]) -> tuple[RemoteDevice, ...]:
    """The devices as far as they are not too many or too large."""
    kept: dict[str, RemoteDevice] = {}
    size = 0
    for item in devices:
        if item is not None and len(kept) < MAX_DEVICES and size + len(item.json) <= MAX_LIST:
            kept[item.device_id] = item
            size += len(item.json)
    return tuple(kept.values())


def _name_within(keys: Any) -> Any:
    """The display name in the ``unsigned`` of a device's keys."""
    return _object(_object(keys).get("unsigned")).get("device_display_name")


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


def _name(value: Any) -> str | None:
    return value.replace("\0", "")[:MAX_DISPLAY_NAME] if type(value) is str else None
