"""Whether the settings for accounts from elsewhere make sense."""

from __future__ import annotations

import shutil
import ssl
from collections import Counter
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from palpo.config.sections.sign_on import JwtConfig, LdapConfig, Mapped, OidcConfig, SamlConfig
from palpo.core.claim_templates import TemplateError, compile_template

if TYPE_CHECKING:
    from palpo.config.model import Config

TEMPLATES = ("localpart_template", "display_name_template", "email_template", "picture_template")
SAFE_ALGORITHMS = frozenset(
    (*(f"{kind}{bits}" for kind in ("HS", "RS", "PS", "ES") for bits in (256, 384, 512)), "EdDSA", "ES256K")
)


def sign_on_problems(config: Config) -> Iterator[str]:
    """Each thing that is wrong, as ``setting: what``."""
    yield from _ids(config)
    for name in ("oidc", "saml", "cas", "ldap"):
        for provider in getattr(config, name):
            yield from (f"{name}: {provider.id}: {what}" for what in _templates(provider))
    for oidc in config.oidc:
        yield from (f"oidc: {oidc.id}: {what}" for what in _oidc(oidc))
    for saml in config.saml:
        yield from (f"saml: {saml.id}: {what}" for what in _saml(saml))
    for name in ("oidc", "saml", "cas"):
        for provider in getattr(config, name):
            yield from (f"{name}: {provider.id}: {what}" for what in _authorities(provider.ca_file))
    for ldap in config.ldap:
        yield from (f"ldap: {ldap.id}: {what}" for what in _ldap(ldap))
    if config.jwt.enabled:
        yield from (f"jwt: {what}" for what in _jwt(config.jwt))
    for entry in config.sso.client_whitelist:
        if not urlsplit(entry).scheme or "*" in entry:
            yield f"sso.client_whitelist: {entry!r} is no URL, such as https://app.example.org/"
    if (config.oidc or config.saml or config.cas) and not config.public_url:
        yield "public_url: it is needed for single sign-on: providers send users back there"
    if not config.password.enabled and config.ldap:
        yield "password.enabled: it is needed for ldap"


def _ids(config: Config) -> Iterator[str]:
    ids = [item.id for item in (*config.oidc, *config.saml, *config.cas)]
    ids += [item.id for item in config.ldap]
    for provider_id, times in Counter(ids).items():
        if times > 1:
            yield f"oidc: the id {provider_id!r} is there {times} times: of all providers each has its own"


def _templates(provider: Mapped) -> Iterator[str]:
    for name in TEMPLATES:
        source = getattr(provider, name)
        try:
            if source:
                compile_template(source)
        except TemplateError as error:
            yield f"{name} cannot be read: {error}"
    if provider.allow_existing_users and not provider.localpart_template:
        yield "allow_existing_users needs a localpart_template"


def _authorities(file: Path | None) -> Iterator[str]:
    if file is None:
        return
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        yield f"ca_file: {file} cannot be used: {error.strerror or error}"


def _oidc(provider: OidcConfig) -> Iterator[str]:
    yield from _missing("joserfc", "oidc")
    method = provider.client_auth
    if method.startswith("client_secret") and not provider.client_secret:
        yield f"client_secret is needed for {method}"
    if method == "private_key_jwt" and (provider.client_key is None or not provider.client_key.is_file()):
        yield "client_key is needed for private_key_jwt, and there is no such file"
    if not provider.discover:
        needed = ["authorization_endpoint", "token_endpoint"]
        needed.append("jwks_uri" if "openid" in provider.scopes else "userinfo_endpoint")
        yield from (f"{name} is needed without discover" for name in needed if not getattr(provider, name))
    yield from _algorithms("id_token_algorithms", provider.id_token_algorithms)


def _saml(provider: SamlConfig) -> Iterator[str]:
    yield from _missing("saml2", "saml")
    if shutil.which(provider.xmlsec or "xmlsec1") is None:
        yield "the program xmlsec1 is needed: apt install xmlsec1"
    if (provider.metadata_file is None) == (not provider.metadata_url):
        yield "either metadata_file or metadata_url is needed"
    if (provider.certificate is None) != (provider.key is None):
        yield "certificate and key come together"
    for file in (provider.metadata_file, provider.certificate, provider.key):
        if file is not None and not file.is_file():
            yield f"there is no file {file}"


def _ldap(directory: LdapConfig) -> Iterator[str]:
    yield from _missing("ldap3", "ldap")
    if "{username}" not in (directory.bind_dn_template or directory.filter):
        yield "{username} is neither in bind_dn_template nor in filter"
    if not directory.bind_dn_template and not directory.base:
        yield "base is needed for a search"
    if directory.uri.startswith("ldap://") and not directory.start_tls and not directory.plain_text:
        yield "passwords would go in plain text: use ldaps://, start_tls, or plain_text for tests"
    if directory.ca_file is not None and not directory.ca_file.is_file():
        yield f"there is no file {directory.ca_file}"


def _jwt(jwt: JwtConfig) -> Iterator[str]:
    yield from _missing("joserfc", "oidc")
    if bool(jwt.secret) == (jwt.key_file is not None):
        yield "either secret or key_file is needed"
    if jwt.key_file is not None and not jwt.key_file.is_file():
        yield f"there is no file {jwt.key_file}"
    yield from _algorithms("algorithms", jwt.algorithms)
    symmetric = [name for name in jwt.algorithms if name.startswith("HS")]
    if jwt.key_file is not None and symmetric:
        yield f"{symmetric[0]} takes a secret: with a public key anybody could make such tokens"
    if jwt.secret and len(symmetric) != len(jwt.algorithms):
        yield "a secret is for HS256, HS384 and HS512 only"


def _algorithms(setting: str, names: tuple[str, ...]) -> Iterator[str]:
    if not names:
        yield f"{setting}: there is none"
    for name in names:
        if name not in SAFE_ALGORITHMS:
            yield f"{setting}: {name!r} is none that is taken here, such as RS256"


def _missing(module: str, extra: str) -> Iterator[str]:
    if find_spec(module) is None:
        yield f"it needs more packages: pip install 'palpo[{extra}]'"
