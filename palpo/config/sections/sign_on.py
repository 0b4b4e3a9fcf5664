"""How users sign on with accounts from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from palpo.config.marks import SECRET
from palpo.config.section import Section


class SsoConfig(Section, frozen=True, kw_only=True):
    """Single sign-on: what holds for `[[oidc]]`, `[[saml]]` and `[[cas]]`; see docs/sign-on.md."""

    client_whitelist: Annotated[
        tuple[str, ...],
        Meta(
            description="Clients that are given a login token without asking the user first, as "
            "`https://app.example.org/`: scheme, host and port, and where the path begins."
        ),
    ] = ()
    update_profile: Annotated[
        bool,
        Meta(description="Whether each sign-on sets the display name and the picture again."),
    ] = False


class Mapped(Section, frozen=True, kw_only=True):
    """Whom a sign-on elsewhere stands for."""

    localpart_template: Annotated[
        str,
        Meta(description="Template of a new user's localpart; where nothing comes of it, users pick one."),
    ] = ""
    display_name_template: Annotated[
        str, Meta(description="Template of a new user's display name; empty: the localpart.")
    ] = ""
    email_template: Annotated[
        str, Meta(description="Template of an address that the provider has validated; empty: none.")
    ] = ""
    picture_template: Annotated[
        str, Meta(description="Template of the URL of a new user's picture; empty: none.")
    ] = ""
    confirm_localpart: Annotated[
        bool, Meta(description="Whether new users may change the localpart that comes of the template.")
    ] = False
    require: Annotated[
        dict[str, tuple[str, ...]],
        Meta(
            description='Who may sign on: `{ groups = ["staff", "guests"] }` lets in who has one of these '
            "values of the attribute; an empty list, whoever has any."
        ),
    ] = {}
    allow_existing_users: Annotated[
        bool,
        Meta(
            description="Whether the account that has the localpart already is theirs. Only for providers "
            "whose users cannot choose what the localpart is made of."
        ),
    ] = False
    registration: Annotated[bool, Meta(description="Whether accounts are made for new users.")] = True


class Provider(Mapped, frozen=True, kw_only=True):
    """What every provider of single sign-on has."""

    id: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9._~-]{1,64}$",
            description="Its name in URLs and in the database: accounts are linked to it, so keep it.",
        ),
    ]
    name: Annotated[str, Meta(min_length=1, max_length=255, description="What users are shown.")]
    icon: Annotated[
        str, Meta(pattern="^(mxc://.+/.+)?$", description="`mxc://` URI of a picture; empty: none.")
    ] = ""
    brand: Annotated[
        str,
        Meta(
            pattern="^[a-z0-9._-]{0,255}$",
            description="A brand that clients know, as `github`; empty: none.",
        ),
    ] = ""


class OidcConfig(Provider, frozen=True, kw_only=True):
    """A provider of OpenID Connect, or of OAuth 2.0 with an endpoint that says who the user is.

    The addresses of its endpoints are held to `network`: allow yours there if it is in your own network. It
    sends users back to `PUBLIC_URL/_synapse/client/oidc/callback`.
    """

    issuer: Annotated[
        str,
        Meta(
            pattern="^https?://", description="As the provider says it, with or without a slash at the end."
        ),
    ]
    client_id: Annotated[str, Meta(min_length=1, description="What the provider calls this server.")]
    client_secret: Annotated[str, Meta(description="The secret that it has given."), SECRET] = ""
    client_key: Annotated[
        Path | None, Meta(description="PEM file of the private key for `private_key_jwt`.")
    ] = None
    client_key_id: Annotated[str, Meta(description="What the provider calls that key; empty: nothing.")] = ""
    client_auth: Annotated[
        str,
        Meta(
            pattern="^(client_secret_basic|client_secret_post|client_secret_jwt|private_key_jwt|none)$",
            description="`client_secret_basic`, `client_secret_post`, `client_secret_jwt`, `private_key_jwt` "
            "or `none`.",
        ),
    ] = "client_secret_basic"
    scopes: Annotated[
        tuple[str, ...], Meta(description="Without `openid` there is no ID token: that is plain OAuth 2.0.")
    ] = ("openid", "profile", "email")
    discover: Annotated[
        bool, Meta(description="Whether the provider says at a well-known place where its endpoints are.")
    ] = True
    authorization_endpoint: Annotated[str, Meta(description="Instead of what was discovered.")] = ""
    token_endpoint: Annotated[str, Meta(description="Likewise.")] = ""
    userinfo_endpoint: Annotated[str, Meta(description="Likewise.")] = ""
    jwks_uri: Annotated[str, Meta(description="Likewise.")] = ""
    pkce: Annotated[
        bool, Meta(description="Whether codes are bound to the sign-on (PKCE, S256); turn it off for nobody.")
    ] = True
    userinfo: Annotated[
        str,
        Meta(
            pattern="^(auto|always|never)$",
            description="When the userinfo endpoint is asked: `auto`, where there is one and the ID token "
            "lacks a name or there is none.",
        ),
    ] = "auto"
    id_token_algorithms: Annotated[
        tuple[str, ...], Meta(description="With what ID tokens may be signed; `HS256` is by `client_secret`.")
    ] = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
    authorization_parameters: Annotated[
        dict[str, str], Meta(description='What is asked for beside the usual, as `{ prompt = "login" }`.')
    ] = {}
    subject_claim: Annotated[
        str, Meta(description="The claim that tells users apart for good: accounts are linked to it.")
    ] = "sub"
    backchannel_logout: Annotated[
        bool,
        Meta(
            description="Whether the provider may log out here whoever logs out there, by "
            "`PUBLIC_URL/_synapse/client/oidc/backchannel_logout`."
        ),
    ] = False
    ca_file: Annotated[
        Path | None,
        Meta(description="PEM file of who vouches for its certificate; none: those that the system trusts."),
    ] = None
    end_session: Annotated[
        bool,
        Meta(
            description="Whether who signs out of this server's pages is offered to sign out there too, if "
            "there is a page for that; it sends them back to `PUBLIC_URL/_palpo/account/login`."
        ),
    ] = False
    refresh_minutes: Annotated[
        int,
        Meta(
            ge=0,
            description="How often the provider is asked, by the refresh token of each sign-on, whether it "
            "still stands: who is not let in there any more is logged out here. 0: never. It may want the "
            "scope `offline_access`.",
        ),
    ] = 0
    timeout_seconds: Annotated[float, Meta(gt=0, description="For one request to it.")] = 10.0


class SamlConfig(Provider, frozen=True, kw_only=True):
    """An identity provider of SAML 2.0. It needs `palpo[saml]`, and the program xmlsec1.

    It sends users back to `PUBLIC_URL/_synapse/client/saml2/authn_response`; what it has to know of this
    server is at `PUBLIC_URL/_synapse/client/saml2/metadata.xml?id=ID`.
    """

    metadata_file: Annotated[Path | None, Meta(description="XML file of the provider's metadata.")] = None
    metadata_url: Annotated[
        str,
        Meta(
            pattern="^(https://.+)?$",
            description="Or where it is, read again each hour; the addresses are held to `network`.",
        ),
    ] = ""
    ca_file: Annotated[
        Path | None,
        Meta(description="PEM file of who vouches for that address; none: those that the system trusts."),
    ] = None
    entity_id: Annotated[
        str, Meta(description="What this server is called there; empty: the URL of its metadata.")
    ] = ""
    certificate: Annotated[
        Path | None, Meta(description="PEM file: with it, and `key`, requests are signed.")
    ] = None
    key: Annotated[Path | None, Meta(description="PEM file of the certificate's private key.")] = None
    subject_attribute: Annotated[
        str,
        Meta(
            description="The attribute that tells users apart for good; empty: the NameID, which then has to "
            "be persistent."
        ),
    ] = ""
    name_id_format: Annotated[str, Meta(description="Of the NameID that is asked for.")] = (
        "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
    )
    xmlsec: Annotated[str, Meta(description="The program xmlsec1; empty: it is looked for.")] = ""


class CasConfig(Provider, frozen=True, kw_only=True):
    """A server of the Central Authentication Service, protocol 2 or 3.

    It sends users back to `PUBLIC_URL/_synapse/client/cas/callback`; its addresses are held to `network`.
    """

    server_url: Annotated[str, Meta(pattern="^https?://", description="As `https://cas.example.org/cas`.")]
    protocol: Annotated[int, Meta(ge=2, le=3, description="2 has no attributes.")] = 3
    ca_file: Annotated[
        Path | None,
        Meta(description="PEM file of who vouches for its certificate; none: those that the system trusts."),
    ] = None
    timeout_seconds: Annotated[float, Meta(gt=0, description="For a request to it.")] = 10.0


class LdapConfig(Mapped, frozen=True, kw_only=True):
    """A directory that knows passwords: who logs in by `m.login.password` is looked for there too.

    It needs `palpo[ldap]`. Either `bind_dn_template` says what users are called there, or they are searched
    for.
    """

    id: Annotated[str, Meta(pattern="^[A-Za-z0-9._~-]{1,64}$", description="Its name in the database.")]
    uri: Annotated[
        str, Meta(pattern="^ldaps?://", description="As `ldaps://ldap.example.org`, with a port or without.")
    ]
    start_tls: Annotated[
        bool, Meta(description="Whether `ldap://` changes to TLS before anything is said.")
    ] = True
    plain_text: Annotated[
        bool,
        Meta(description="Passwords may go to `ldap://` without TLS: for tests, and loopback addresses."),
    ] = False
    ca_file: Annotated[Path | None, Meta(description="PEM file of who is trusted; none: the system's.")] = (
        None
    )
    bind_dn_template: Annotated[
        str,
        Meta(description="As `uid={username},ou=people,dc=example,dc=org`; empty: they are searched for."),
    ] = ""
    bind_dn: Annotated[str, Meta(description="Who searches; empty: anybody may.")] = ""
    bind_password: Annotated[str, Meta(description="Of who searches."), SECRET] = ""
    base: Annotated[str, Meta(description="Below what is searched, as `ou=people,dc=example,dc=org`.")] = ""
    filter: Annotated[
        str, Meta(pattern=r"^\(.*\)$", description="Whom to find: `{username}` is what the user has typed.")
    ] = "(uid={username})"
    subject_attribute: Annotated[
        str, Meta(description="The attribute that tells users apart for good, as `entryUUID`.")
    ] = "entryUUID"
    attributes: Annotated[tuple[str, ...], Meta(description="What is read beside: for the templates.")] = (
        "uid",
        "cn",
        "mail",
    )
    timeout_seconds: Annotated[float, Meta(gt=0, description="For one look-up.")] = 5.0


class JwtConfig(Section, frozen=True, kw_only=True):
    """Logging in by a JSON Web Token (`org.matrix.login.jwt`) that something else of yours has made."""

    enabled: Annotated[bool, Meta(description="Whether anyone logs in so.")] = False
    secret: Annotated[str, Meta(description="The secret of HS256 and its like."), SECRET] = ""
    key_file: Annotated[
        Path | None, Meta(description="Or the file of a public key, as PEM, or of several, as a JWK set.")
    ] = None
    algorithms: Annotated[tuple[str, ...], Meta(description="With what tokens may be signed.")] = ("HS256",)
    issuer: Annotated[str, Meta(description="Who has made it (`iss`); empty: that is not looked at.")] = ""
    audiences: Annotated[
        tuple[str, ...], Meta(description="One of them is in `aud`; empty: a token has no `aud`.")
    ] = ()
    subject_claim: Annotated[str, Meta(description="The claim with the localpart.")] = "sub"
    display_name_claim: Annotated[str, Meta(description="With a new user's display name; empty: none.")] = ""
    registration: Annotated[bool, Meta(description="Whether accounts are made for new users.")] = True
    max_age_seconds: Annotated[
        int, Meta(ge=0, description="How long ago it was made (`iat`) at most; 0: as long as `exp` says.")
    ] = 0
