"""What servers ask each other."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.federation.key_fetches import KeyFetches
from palpo.services.federation.key_notary import KeyNotary
from palpo.services.federation.keyring import Keyring
from palpo.services.federation.server_acls import ServerAcls


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Keys of other servers."""

    key_fetches: KeyFetches
    key_notary: KeyNotary
    keyring: Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationServices:
    """Those that other areas use, and the API."""

    key_fetches: KeyFetches
    key_notary: KeyNotary
    keyring: Keyring
    server_acls: ServerAcls
