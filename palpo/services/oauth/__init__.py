"""This server as the one that grants access to clients: the spec's OAuth 2.0 API."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.oauth.authorization import OAuthRequests
from palpo.services.oauth.clients import OAuthClients
from palpo.services.oauth.consents import OAuthConsents
from palpo.services.oauth.device_codes import OAuthDeviceCodes
from palpo.services.oauth.grants import OAuthGrants
from palpo.services.oauth.rendezvous import Meetings


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthServices:
    """Those that the API uses."""

    clients: OAuthClients
    consents: OAuthConsents
    device_codes: OAuthDeviceCodes
    grants: OAuthGrants
    meetings: Meetings
    requests: OAuthRequests
