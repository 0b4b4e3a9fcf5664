"""Signing on with an account from elsewhere."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.services.accounts import AccountServices
from palpo.services.server import Server
from palpo.services.sign_on import SignOnServices


def build_sign_on(server: Server, accounts: AccountServices) -> SignOnServices:
    return assemble(SignOnServices, server, accounts)
