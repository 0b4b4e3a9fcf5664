"""Who has an account, and who is asking."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.services.accounts.accounts import Accounts
from palpo.services.accounts.appservices import AppServices
from palpo.services.accounts.browser_sessions import BrowserSessions
from palpo.services.accounts.delegation import Delegation
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.devices import Devices
from palpo.services.accounts.identity_servers import IdentityServers
from palpo.services.accounts.last_seen import LastSeen
from palpo.services.accounts.logins import Logins
from palpo.services.accounts.openid import OpenId
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.registration import Registration
from palpo.services.accounts.registration_tokens import RegistrationTokens
from palpo.services.accounts.sessions import Sessions
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.services.accounts.user_interactive_auth import UserInteractiveAuth


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountServices:
    """Those that other areas use, and the API."""

    accounts: Accounts
    appservices: AppServices
    browser_sessions: BrowserSessions
    delegation: Delegation
    device_removal: DeviceRemoval
    devices: Devices
    identity_servers: IdentityServers
    interactive_auth: UserInteractiveAuth
    last_seen: LastSeen
    logins: Logins
    openid: OpenId
    profiles: Profiles
    registration: Registration
    registration_tokens: RegistrationTokens
    sessions: Sessions
    threepids: ThirdPartyIds
