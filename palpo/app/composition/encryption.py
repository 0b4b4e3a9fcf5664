"""Keys, their backups, and messages from device to device."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.app.composition.remotes import Remotes
from palpo.services.accounts import AccountServices
from palpo.services.encryption import EncryptionServices
from palpo.services.history import HistoryServices
from palpo.services.server import Server


def build_encryption(
    server: Server, accounts: AccountServices, history: HistoryServices, remotes: Remotes
) -> EncryptionServices:
    return assemble(EncryptionServices, server, accounts, history, remotes)
