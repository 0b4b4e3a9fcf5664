"""Signing on with an account from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from palpo.app.composition.assembly import assemble
from palpo.config.sections.sign_on import OidcConfig
from palpo.services.accounts import AccountServices
from palpo.services.media import MediaServices
from palpo.services.server import Server
from palpo.services.sign_on import SignOnServices
from palpo.services.sign_on.cas import CasProvider
from palpo.services.sign_on.flows import Flows, Seals
from palpo.services.sign_on.ldap.directories import Directories
from palpo.services.sign_on.ldap.directory import Directory
from palpo.services.sign_on.linked_accounts import LinkedAccounts
from palpo.services.sign_on.oidc.client_authentication import ClientAuthentication
from palpo.services.sign_on.oidc.fetching import Fetching
from palpo.services.sign_on.oidc.keys import ProviderKeys
from palpo.services.sign_on.oidc.metadata import Discovery
from palpo.services.sign_on.oidc.provider import OidcProvider
from palpo.services.sign_on.pictures import Pictures
from palpo.services.sign_on.providers import Provider, Providers
from palpo.services.sign_on.saml import SamlProvider


def build_sign_on(server: Server, accounts: AccountServices, media: MediaServices) -> SignOnServices:
    seals = Seals(server)
    flows = Flows(server, server.clock, seals)
    pictures = Pictures(server, media.media, accounts.profiles)
    linked = LinkedAccounts(server, accounts.registration, accounts.profiles, pictures)
    directories = [(config, Directory(config)) for config in server.config.ldap]
    return assemble(
        SignOnServices,
        server,
        accounts,
        media,
        seals,
        flows,
        linked,
        directories=Directories(server.config, directories, linked),
        providers=Providers(_providers(server), flows),
    )


def _providers(server: Server) -> Iterator[Provider]:
    """Each that is configured."""
    for oidc in server.config.oidc:
        yield _oidc(oidc, server)
    for saml in server.config.saml:
        yield SamlProvider(
            saml, server.http.trusting(saml.ca_file), server.clock, base_url=server.config.base_url
        )
    for cas in server.config.cas:
        yield CasProvider(cas, server.http.trusting(cas.ca_file), base_url=server.config.base_url)


def _oidc(config: OidcConfig, server: Server) -> OidcProvider:
    clock = server.clock
    fetching = Fetching(
        server.http.trusting(config.ca_file),
        timeout_s=config.timeout_seconds,
        tls=config.issuer.startswith("https://"),
    )
    discovery = Discovery(config, fetching, clock)
    return OidcProvider(
        config,
        clock,
        fetching,
        discovery,
        ProviderKeys(discovery, fetching, clock, secret=config.client_secret),
        ClientAuthentication(config, clock),
        base_url=server.config.base_url,
    )
