"""What servers ask each other."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.federation.key_fetches import KeyFetches
from palpo.services.federation.key_notary import KeyNotary
from palpo.services.federation.keyring import Keyring


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationServices:
    """Those that other areas use, and the API."""

    key_fetches: KeyFetches
    key_notary: KeyNotary
    keyring: Keyring
