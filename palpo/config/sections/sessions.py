"""Sessions and their tokens: OAuth 2.0 among them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from palpo.config.marks import LIVE
from palpo.config.section import Section
from palpo.config.sections.delegation import DelegationConfig


class SessionConfig(Section, frozen=True):
    """Access tokens, and browsers that are signed in."""

    access_token_seconds: Annotated[
        int, Meta(ge=1, description="Lifetime of an access token that comes with a refresh token."), LIVE
    ] = 300
    browser_seconds: Annotated[
        int, Meta(ge=60, description="How long a browser stays signed in on this server's own pages.")
    ] = 14 * 86_400


class OAuthConfig(Section, frozen=True):
    """OAuth 2.0 for clients: they send their users' browsers to this server's own pages to sign in. Needs
    `public_url`, and a reverse proxy that hands on `/_palpo/account/` and `/_palpo/oauth2/`. Logging in by
    password in the client goes on beside it.
    """

    enabled: Annotated[
        bool, Meta(description="Whether clients are told of it, and served, if there is a `public_url`.")
    ] = True
    qr_login: Annotated[
        bool, Meta(description="Whether devices may meet here to sign one in by a QR code (MSC4108).")
    ] = True
    delegation: DelegationConfig = DelegationConfig()
