"""OAuth 2.0 for clients."""

from __future__ import annotations

from palpo.app.composition.assembly import assemble
from palpo.services.accounts import AccountServices
from palpo.services.oauth import OAuthServices
from palpo.services.oauth.tokens import Tokens
from palpo.services.server import Server


def build_oauth(server: Server, accounts: AccountServices) -> OAuthServices:
    return assemble(OAuthServices, server, accounts, Tokens(server.key.seed))
