"""EDUs about devices, and to them (spec: server-server API, "Device Management" and what follows)."""

from __future__ import annotations

from typing import Any

import msgspec

from palpo.core.identifiers import UserId
from palpo.wire.endpoint import Json
from palpo.wire.identifiers import Checked

DEVICE_LIST_UPDATE = "m.device_list_update"
SIGNING_KEY_UPDATE = "m.signing_key_update"
DIRECT_TO_DEVICE = "m.direct_to_device"


class DeviceListUpdate(Checked, frozen=True, omit_defaults=True):
    """A device of a user has changed; ``prev_id`` are the updates that this one follows."""

    user_id: UserId
    device_id: str
    stream_id: int
    prev_id: list[int] = msgspec.field(default_factory=list)
    deleted: bool | None = None
    device_display_name: str | None = None
    keys: Any = None
    """None where the device has none."""


class SigningKeyUpdate(Checked, frozen=True, omit_defaults=True):
    """A user's cross-signing keys have changed."""

    user_id: UserId
    master_key: Any = None
    self_signing_key: Any = None


class DirectToDevice(Checked, frozen=True):
    """Messages to devices: user ID → device ID, or ``*`` → content."""

    sender: UserId
    type: str
    message_id: str
    messages: dict[str, dict[str, Json]]
