"""Who has an account, and who is asking."""

from __future__ import annotations

import time
from functools import cached_property

from palpo import __version__
from palpo.app.composition.base import ANYWHERE, Base
from palpo.config.appservices import Registration as AppserviceRegistration
from palpo.config.appservices import load_registrations
from palpo.config.model import EmailConfig
from palpo.core.identifiers import make_user_id
from palpo.net.addresses import AddressPolicy
from palpo.net.email import Mailer, MailServer
from palpo.net.http_client import HttpClient
from palpo.services.accounts import user_interactive_auth as uia
from palpo.services.accounts.accounts import Accounts
from palpo.services.accounts.appservices import AppServices
from palpo.services.accounts.device_removal import DeviceRemoval
from palpo.services.accounts.devices import Devices
from palpo.services.accounts.identity_servers import IdentityServers
from palpo.services.accounts.last_seen import LastSeen
from palpo.services.accounts.logins import Logins
from palpo.services.accounts.openid import OpenId
from palpo.services.accounts.passwords import FailedLogins, Passwords
from palpo.services.accounts.profiles import Profiles
from palpo.services.accounts.registration import Registration
from palpo.services.accounts.registration_tokens import RegistrationTokens
from palpo.services.accounts.sessions import Sessions
from palpo.services.accounts.threepids import ThirdPartyIds
from palpo.services.appservices.appservice_client import AppserviceClient
from palpo.services.appservices.appservice_queries import AppserviceQueries
from palpo.services.encryption.cross_signing import CrossSigning
from palpo.services.encryption.dehydrated_devices import DehydratedDevices
from palpo.services.encryption.key_backups import KeyBackups
from palpo.services.encryption.keys import Keys
from palpo.services.encryption.to_device import ToDevice
from palpo.services.encryption.to_device_backlogs import ToDeviceBacklogs
from palpo.services.reading.waiting import Waiting
from palpo.services.server.quotas import Quotas
from palpo.services.server.server_keys import ServerKeys


class AccountServices(Base):
    """Who has an account, and who is asking."""

    @cached_property
    def quotas(self) -> Quotas:
        unlimited = [item for item in self.registrations if not item.rate_limited]
        senders = {item.sender for item in self.registrations}
        notices = self.config.server_notices
        if notices.enabled:
            senders.add(make_user_id(notices.localpart, self.server_name))
        return Quotas(
            self.config,
            self.db,
            exempt=lambda user: user in senders or any(item.owns_user(user) for item in unlimited),
        )

    @cached_property
    def sessions(self) -> Sessions:
        return Sessions(self.db, self.clock, self.wakeups, self.caches, admins=self.config.admins)

    @cached_property
    def waiting(self) -> Waiting:
        return Waiting(self.wakeups, self.sessions, self.clock)

    @cached_property
    def device_removal(self) -> DeviceRemoval:
        return DeviceRemoval(self.quotas)

    @cached_property
    def last_seen(self) -> LastSeen:
        return LastSeen(self.db, self.clock)

    @cached_property
    def passwords(self) -> Passwords:
        return Passwords(self.config.password)

    @cached_property
    def failures(self) -> FailedLogins:
        return FailedLogins(self.config.rate_limits, self.clock)

    @cached_property
    def logins(self) -> Logins:
        return Logins(self.config, self.db, self.clock, self.passwords, self.failures, self.device_removal)

    @cached_property
    def profiles(self) -> Profiles:
        return Profiles(self.db, server_name=self.server_name)

    @cached_property
    def registrations(self) -> tuple[AppserviceRegistration, ...]:
        return load_registrations(self.config.appservices, server_name=self.server_name)

    @cached_property
    def appservices(self) -> AppServices:
        return AppServices(
            self.registrations,
            self.db,
            self.clock,
            self.wakeups,
            self.caches,
            admins=self.config.admins,
        )

    @cached_property
    def registration(self) -> Registration:
        return Registration(
            self.config,
            self.db,
            self.clock,
            self.passwords,
            self.logins,
            self.profiles,
            self.appservices,
            self.registration_tokens,
            self.threepids,
            self.interactive_auth,
            secret=self.key.seed,
        )

    @cached_property
    def interactive_auth(self) -> uia.UserInteractiveAuth:
        return uia.UserInteractiveAuth(self.db, self.clock, secret=self.key.seed)

    @cached_property
    def registration_tokens(self) -> RegistrationTokens:
        return RegistrationTokens(self.db, self.clock, permanent=self.config.registration.token)

    @cached_property
    def mailer(self) -> Mailer | None:
        return _mailer(self.config.email)

    @cached_property
    def threepids(self) -> ThirdPartyIds:
        return ThirdPartyIds(self.config, self.db, self.clock, self.mailer)

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.db, self.wakeups, self.caches, self.quotas, server_name=self.server_name)

    @cached_property
    def to_device(self) -> ToDevice:
        return ToDevice(
            self.db,
            self.clock,
            self.wakeups,
            self.caches,
            ToDeviceBacklogs(self.quotas),
            server_name=self.server_name,
        )

    @cached_property
    def accounts(self) -> Accounts:
        return Accounts(self.config, self.db, self.passwords, self.device_removal)

    @cached_property
    def http(self) -> HttpClient:
        return HttpClient(
            AddressPolicy(self.config.network.allow, self.config.network.deny),
            user_agent=f"Palpo/{__version__}",
        )

    @cached_property
    def identity_servers(self) -> IdentityServers:
        return IdentityServers(
            self.config.identity_servers, self.db, self.http, server_name=self.server_name, key=self.key
        )

    @cached_property
    def appservice_client(self) -> AppserviceClient:
        return AppserviceClient(HttpClient(ANYWHERE, user_agent=f"Palpo/{__version__}"))

    @cached_property
    def appservice_queries(self) -> AppserviceQueries:
        return AppserviceQueries(self.appservices, self.appservice_client, time.monotonic)

    @cached_property
    def server_keys(self) -> ServerKeys:
        return ServerKeys(self.server_name, self.key, self.clock)

    @cached_property
    def devices(self) -> Devices:
        return Devices(self.db, self.clock, self.last_seen, self.device_removal)

    @cached_property
    def dehydrated_devices(self) -> DehydratedDevices:
        return DehydratedDevices(self.db, self.clock, self.device_removal, self.quotas)

    @cached_property
    def cross_signing(self) -> CrossSigning:
        return CrossSigning(self.db, self.quotas)

    @cached_property
    def key_backups(self) -> KeyBackups:
        return KeyBackups(self.db, self.quotas)

    @cached_property
    def openid(self) -> OpenId:
        return OpenId(self.db, self.clock)


def _mailer(config: EmailConfig) -> Mailer | None:
    """What sends email; None where that is not configured."""
    if not config.host:
        return None
    return Mailer(
        MailServer(
            host=config.host,
            port=config.port,
            security=config.security,
            username=config.username,
            password=config.password,
            sender=config.sender,
            timeout_s=config.timeout_seconds,
        )
    )
