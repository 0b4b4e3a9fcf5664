"""Who has an account, and who is asking."""

from __future__ import annotations

from palpo.app.composition.appservices import ANYWHERE
from palpo.app.composition.assembly import assemble
from palpo.app.composition.hooks import Hooks
from palpo.app.composition.remotes import Remotes
from palpo.app.composition.server import USER_AGENT
from palpo.config.model import Config
from palpo.net.http_client import HttpClient
from palpo.services.accounts import AccountServices
from palpo.services.accounts import registration_stages as stages
from palpo.services.accounts import user_interactive_auth as uia
from palpo.services.accounts.accounts import Accounts
from palpo.services.accounts.appservices import AppServices
from palpo.services.accounts.browser_sessions import BrowserSessions
from palpo.services.accounts.delegated_sessions import DelegatedSessions
from palpo.services.accounts.delegation import Delegation
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.identity_servers import IdentityServers
from palpo.services.accounts.logins import Logins
from palpo.services.accounts.passwords import FailedLogins, Passwords
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.registration_tokens import RegistrationTokens
from palpo.services.accounts.sessions import Sessions
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.services.server import Server
from palpo.wire.client.oauth import ACCOUNT_PATH


def build_accounts(server: Server, hooks: Hooks, remotes: Remotes) -> AccountServices:
    config, db, clock = server.config, server.db, server.clock
    passwords = Passwords(config.password)
    removal = DeviceRemoval(server.quotas, hooks.device_removal)
    logins = Logins(config, db, clock, passwords, FailedLogins(config, clock), removal, hooks.password_check)
    profiles = Profiles(server, hooks.profile_change, hooks.unknown_user, remotes.profiles)
    appservices = AppServices(
        server.registrations, db, clock, server.wakeups, server.caches, admins=config.admins
    )
    tokens = RegistrationTokens(db, clock, permanent=lambda: config.registration.token)
    threepids = ThirdPartyIds(config, db, clock, server.mailer)
    delegation = Delegation(
        config.oauth.delegation, HttpClient(ANYWHERE, user_agent=USER_AGENT, connections_per_host=64), clock
    )
    interactive_auth = uia.UserInteractiveAuth(
        db,
        clock,
        secret=server.key.seed,
        stages={
            uia.PASSWORD: uia.PasswordStage(logins, threepids),
            **_stages(server, tokens, threepids),
            **_oauth_stages(config, delegation),
        },
    )
    return assemble(
        AccountServices,
        server,
        passwords,
        accounts=Accounts(config, db, passwords, removal, server.quotas, hooks.deactivation),
        appservices=appservices,
        browser_sessions=BrowserSessions(
            db, clock, lifetime_s=config.sessions.browser_seconds, admins=config.admins
        ),
        delegation=delegation,
        device_removal=removal,
        identity_servers=IdentityServers(
            config.identity_servers, db, server.http, server_name=server.name, keys=server.server_keys
        ),
        interactive_auth=interactive_auth,
        logins=logins,
        profiles=profiles,
        registration_tokens=tokens,
        sessions=_sessions(server, delegation),
        threepids=threepids,
    )


def _stages(server: Server, tokens: RegistrationTokens, threepids: ThirdPartyIds) -> dict[str, uia.Stage]:
    """Every stage that registration may ask for."""
    config = server.config.registration
    found: dict[str, uia.Stage] = {uia.REGISTRATION_TOKEN: stages.TokenStage(tokens)}
    if threepids.enabled:
        found[stages.EMAIL] = stages.EmailStage(threepids)
    if config.terms:
        found[stages.TERMS] = stages.TermsStage(config.terms)
    if config.captcha.public_key:
        found[stages.RECAPTCHA] = stages.RecaptchaStage(config.captcha, server.http)
    return found


def _oauth_stages(config: Config, delegation: Delegation) -> dict[str, uia.Stage]:
    """The page on which users of OAuth 2.0 allow what is asked for: this server's, or the service's."""
    if not config.oauth_enabled and not config.delegated:
        return {}
    own = f"{config.public_url.rstrip('/')}{ACCOUNT_PATH}?action={stages.UNSTABLE_OAUTH}"
    page = stages.OAuthStage(lambda: delegation.reset_page if config.delegated else own)
    return {stages.OAUTH: page, stages.UNSTABLE_OAUTH: page}


def _sessions(server: Server, delegation: Delegation) -> Sessions:
    config = server.config
    if config.delegated:
        return DelegatedSessions(server, config.oauth.delegation, delegation)
    return Sessions(server.db, server.clock, server.wakeups, server.caches, admins=config.admins)
