"""Signing on elsewhere, in a browser (spec: client-server API, "SSO client login/authentication")."""

from __future__ import annotations

import msgspec

from palpo.wire.endpoint import Auth, Endpoint, Limit, NoBody, NoParams, Page, Params, Stream, client

BELOW = "/_synapse/client"
"""Where browsers come back to: the paths that providers have been told of where Synapse served before."""
MAX_FORM = 64 * 1024


class RedirectParams(Params, frozen=True, kw_only=True):
    """Where the client waits for a login token, and what its user wants: ``login`` or ``register``."""

    redirect_url: str = msgspec.field(name="redirectUrl")
    action: str | None = None


class ProviderRedirectParams(RedirectParams, frozen=True, kw_only=True):
    """The same, with the provider."""

    idp_id: str


class OidcParams(Params, frozen=True, kw_only=True):
    """What a browser brings back from a provider (RFC 6749, RFC 9207)."""

    state: str = ""
    code: str | None = None
    error: str | None = None
    iss: str | None = None


class CasParams(Params, frozen=True, kw_only=True):
    """What a browser brings back from a CAS server."""

    state: str = ""
    ticket: str = ""


redirect_to_sso: Endpoint[RedirectParams, NoBody, Page] = Endpoint(
    operation_id="redirectToSSO",
    method="GET",
    # The second name is that of when there was nothing but CAS.
    paths=(*client("/login/sso/redirect"), *client("/login/cas/redirect")),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=RedirectParams,
    response=Page,
)

redirect_to_idp: Endpoint[ProviderRedirectParams, NoBody, Page] = Endpoint(
    operation_id="redirectToIdP",
    method="GET",
    paths=client("/login/sso/redirect/{idp_id}"),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=ProviderRedirectParams,
    response=Page,
)

finish_oidc: Endpoint[OidcParams, NoBody, Page] = Endpoint(
    operation_id="palpo.finishOidc",
    method="GET",
    paths=(f"{BELOW}/oidc/callback",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=OidcParams,
    response=Page,
)

finish_cas: Endpoint[CasParams, NoBody, Page] = Endpoint(
    operation_id="palpo.finishCas",
    method="GET",
    paths=(f"{BELOW}/cas/callback",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=CasParams,
    response=Page,
)

pick_localpart: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.pickLocalpart",
    method="POST",
    paths=(f"{BELOW}/sso/account",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
    max_body=MAX_FORM,
)

consent_to_client: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.consentToClient",
    method="POST",
    paths=(f"{BELOW}/sso/continue",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
    max_body=MAX_FORM,
)

oidc_logout: Endpoint[NoParams, NoBody, None] = Endpoint(
    operation_id="palpo.oidcBackchannelLogout",
    method="POST",
    paths=(f"{BELOW}/oidc/backchannel_logout",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    max_body=MAX_FORM,
)


class SamlParams(Params, frozen=True, kw_only=True):
    """Which provider it is for, where there are several."""

    id: str = ""


finish_saml: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.finishSaml",
    method="POST",
    paths=(f"{BELOW}/saml2/authn_response",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
    max_body=MAX_FORM,
)

log_out_by_saml: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.logOutBySaml",
    method="GET",
    paths=(f"{BELOW}/saml2/logout",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
)

log_out_by_saml_form: Endpoint[NoParams, NoBody, Page] = Endpoint(
    operation_id="palpo.logOutBySamlForm",
    method="POST",
    paths=(f"{BELOW}/saml2/logout",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    response=Page,
    max_body=MAX_FORM,
)

cas_logout: Endpoint[CasParams, NoBody, None] = Endpoint(
    operation_id="palpo.casLogout",
    method="POST",
    paths=(f"{BELOW}/cas/callback",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=CasParams,
    max_body=MAX_FORM,
)

get_saml_metadata: Endpoint[SamlParams, NoBody, Stream] = Endpoint(
    operation_id="palpo.getSamlMetadata",
    method="GET",
    paths=(f"{BELOW}/saml2/metadata.xml",),
    auth=Auth.NONE,
    limit=Limit.INTERACTIVE,
    params=SamlParams,
    response=Stream,
)
