"""The configuration: one frozen model. ``docs/configuration.md`` is made from it and its sections."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from palpo.config.marks import LIVE, SECRET
from palpo.config.section import Section
from palpo.config.sections.accounts import EmailConfig, IdentityServer, PasswordConfig, RegistrationConfig
from palpo.config.sections.clients import PresenceConfig, PushConfig, RtcConfig, TurnConfig, WellKnownConfig
from palpo.config.sections.database import BackupConfig, CacheConfig, DatabaseConfig
from palpo.config.sections.limits import QuotasConfig, RateLimits
from palpo.config.sections.listeners import HttpConfig, Listener
from palpo.config.sections.logs import LogConfig, SentryConfig, TracingConfig
from palpo.config.sections.media import MediaConfig
from palpo.config.sections.network import FederationConfig, NetworkConfig
from palpo.config.sections.rooms import RetentionConfig, RoomConfig, ServerNoticesConfig
from palpo.config.sections.sessions import OAuthConfig, SessionConfig
from palpo.config.sections.sign_on import CasConfig, JwtConfig, LdapConfig, OidcConfig, SamlConfig, SsoConfig


class Config(Section, frozen=True):
    """Everything that an operator can set."""

    server_name: Annotated[str, Meta(description="The domain in user IDs; it can never be changed.")]
    data: Annotated[Path, Meta(description="Folder of the signing key, media and the SQLite file.")]
    redis_url: Annotated[
        str,
        Meta(description="`redis://…`, for wake-ups between processes; empty: the database does it."),
        SECRET,
    ] = ""
    public_url: Annotated[
        str,
        Meta(
            pattern="^(https?://.+)?$",
            description="Where clients reach the server, as `https://matrix.example.org`: for `.well-known`.",
        ),
    ] = ""
    listeners: tuple[Listener, ...] = (Listener(bind="127.0.0.1:8008"),)
    http: HttpConfig = HttpConfig()
    database: DatabaseConfig = DatabaseConfig()
    caches: CacheConfig = CacheConfig()
    rate_limits: Annotated[RateLimits, LIVE] = RateLimits()
    quotas: Annotated[QuotasConfig, LIVE] = QuotasConfig()
    registration: RegistrationConfig = RegistrationConfig()
    password: PasswordConfig = PasswordConfig()
    sso: SsoConfig = SsoConfig()
    oidc: tuple[OidcConfig, ...] = ()
    saml: tuple[SamlConfig, ...] = ()
    cas: tuple[CasConfig, ...] = ()
    ldap: tuple[LdapConfig, ...] = ()
    jwt: JwtConfig = JwtConfig()
    email: EmailConfig = EmailConfig()
    identity_servers: tuple[IdentityServer, ...] = ()
    sessions: SessionConfig = SessionConfig()
    turn: Annotated[TurnConfig, LIVE] = TurnConfig()
    well_known: Annotated[WellKnownConfig, LIVE] = WellKnownConfig()
    oauth: OAuthConfig = OAuthConfig()
    rtc: RtcConfig = RtcConfig()
    media: MediaConfig = MediaConfig()
    network: Annotated[NetworkConfig, LIVE] = NetworkConfig()
    federation: FederationConfig = FederationConfig()
    rooms: RoomConfig = RoomConfig()
    retention: RetentionConfig = RetentionConfig()
    push: PushConfig = PushConfig()
    presence: PresenceConfig = PresenceConfig()
    server_notices: ServerNoticesConfig = ServerNoticesConfig()
    backup: BackupConfig = BackupConfig()
    log: LogConfig = LogConfig()
    sentry: SentryConfig = SentryConfig()
    tracing: TracingConfig = TracingConfig()
    appservices: Annotated[
        tuple[Path, ...], Meta(description="Registration files (YAML) of application services.")
    ] = ()
    metrics: Annotated[bool, Meta(description="Serve Prometheus metrics at `/_palpo/metrics`.")] = True
    admins: Annotated[tuple[str, ...], Meta(description="User IDs that are administrators.")] = ()

    def engine_of(self, listener: Listener) -> str:
        """The engine of a listener: its own, or that for all, or what suits it."""
        named = listener.engine or self.http.engine
        return named or ("uvicorn" if listener.tls_certificate is None else "hypercorn")

    @property
    def oauth_enabled(self) -> bool:
        """Whether this server grants access by OAuth 2.0: that takes a URL that it is known by."""
        return self.oauth.enabled and bool(self.public_url) and not self.delegated

    @property
    def delegated(self) -> bool:
        """Whether Matrix Authentication Service signs users in, instead of this server."""
        return bool(self.oauth.delegation.endpoint)

    @property
    def passwords_enabled(self) -> bool:
        """Whether users have passwords here."""
        return self.password.enabled and not self.delegated

    @property
    def database_url(self) -> str:
        """The database's URL, whether or not one was set."""
        return self.database.url or f"sqlite:///{self.data / 'palpo.db'}"

    @property
    def base_url(self) -> str:
        """Where clients reach the server."""
        if self.public_url:
            return self.public_url
        first = self.listeners[0]
        if first.unix_path is not None:
            return f"https://{self.server_name}"
        return f"{'http' if first.tls_certificate is None else 'https'}://{first.bind}"
