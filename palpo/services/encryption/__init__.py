"""Keys, their backups, and messages from device to device."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.encryption.cross_signing import CrossSigning
from palpo.services.encryption.dehydrated_devices import DehydratedDevices
from palpo.services.encryption.device_lists import DeviceLists
from palpo.services.encryption.key_backups import KeyBackups
from palpo.services.encryption.keys import Keys
from palpo.services.encryption.to_device import ToDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptionServices:
    """Those that other areas use, and the API."""

    cross_signing: CrossSigning
    dehydrated_devices: DehydratedDevices
    device_lists: DeviceLists
    key_backups: KeyBackups
    keys: Keys
    to_device: ToDevice
