"""Keys, their backups, and messages from device to device."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.services.accounts import AccountServices
from palpo.services.encryption import EncryptionServices
from palpo.services.encryption.keys import Keys
from palpo.services.encryption.to_device import ToDevice
from palpo.services.encryption.to_device_backlogs import ToDeviceBacklogs
from palpo.services.history import HistoryServices
from palpo.services.server import Server


def build_encryption(
    server: Server, accounts: AccountServices, history: HistoryServices
) -> EncryptionServices:
    """Keys, their backups, and messages from device to device."""
    db, caches = server.db, server.caches
    return assemble(
        EncryptionServices,
        server,
        accounts,
        history,
        keys=Keys(db, server.wakeups, caches, server.quotas, server_name=server.name),
        to_device=ToDevice(
            db, server.clock, server.wakeups, caches, ToDeviceBacklogs(server.quotas), server_name=server.name
        ),
    )
