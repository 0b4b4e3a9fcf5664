"""Keys, their backups, and messages from device to device."""

from __future__ import annotations

from palpo.services.accounts import AccountServices
from palpo.services.encryption import EncryptionServices
from palpo.services.encryption.cross_signing import CrossSigning
from palpo.services.encryption.dehydrated_devices import DehydratedDevices
from palpo.services.encryption.device_lists import DeviceLists
from palpo.services.encryption.key_backups import KeyBackups
from palpo.services.encryption.keys import Keys
from palpo.services.encryption.to_device import ToDevice
from palpo.services.encryption.to_device_backlogs import ToDeviceBacklogs
from palpo.services.history import HistoryServices
from palpo.services.server import Server


def build_encryption(
    server: Server, accounts: AccountServices, history: HistoryServices
) -> EncryptionServices:
    """Keys, their backups, and messages from device to device."""
    db, clock, wakeups = server.db, server.clock, server.wakeups
    caches, quotas = server.caches, server.quotas
    return EncryptionServices(
        cross_signing=CrossSigning(db, quotas),
        dehydrated_devices=DehydratedDevices(db, clock, accounts.device_removal, quotas),
        device_lists=DeviceLists(db, wakeups, history.events, caches),
        key_backups=KeyBackups(db, quotas),
        keys=Keys(db, wakeups, caches, quotas, server_name=server.name),
        to_device=ToDevice(db, clock, wakeups, caches, ToDeviceBacklogs(quotas), server_name=server.name),
    )
