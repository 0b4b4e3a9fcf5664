"""Signing on elsewhere: the way there, and what users are asked when they come back."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs, urlencode

from quart import Response, render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.client.registration import is_open
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.browsers import Form, safe_path, sign_in_path, signed_in
from palpo.api.pages.browsers import sign_in as begin_session
from palpo.api.pages.security import allow
from palpo.api.pages.translations import translate as _
from palpo.config.sections.accounts import TermsDocument
from palpo.core.errors import BadRequest, MatrixError, NotFound
from palpo.core.identifiers import MAX_LENGTH, UserId
from palpo.services.sign_on.cas import CasProvider
from palpo.services.sign_on.clients import check_redirect_url, scheme_of, shown, with_login_token
from palpo.services.sign_on.flows import REGISTER, ForBrowser, ForClient, ForStage, Purpose, cookies_of
from palpo.services.sign_on.oidc.provider import OidcProvider
from palpo.services.sign_on.saml import SamlProvider
from palpo.services.sign_on.sign_ons import LOGIN_TOKEN_MS, AskConsent, AskName, Finished, SignedIn, StageDone
from palpo.wire.client import sso as wire
from palpo.wire.endpoint import Limit, NoParams
from palpo.wire.pages import upstream as pages
from palpo.wire.pages.registration import REGISTRATION_PATH

blueprint = PageBlueprint("sso", __name__, has_forms=True)


@blueprint.serves(wire.redirect_to_sso)
async def redirect_to_sso(call: Call, params: wire.RedirectParams) -> ResponseReturnValue:
    """GET /login/sso/redirect: where there are several providers, the user picks one."""
    check_redirect_url(params.redirect_url)
    providers = [item.config for item in call.services.sign_on.providers]
    config = call.services.server.config
    if config.oauth_enabled and (config.passwords_enabled or not providers):
        # This server's own pages have all the ways there are (spec: "OAuth 2.0 aware clients").
        then = f"{pages.CONTINUE_PATH}?{urlencode({'redirectUrl': params.redirect_url})}"
        if params.action == REGISTER and await is_open(call):
            location = f"{REGISTRATION_PATH}?{urlencode({'next': then})}"
        else:
            location = sign_in_path(then, **({"action": REGISTER} if params.action == REGISTER else {}))
        return Response(status=302, headers={"Location": location})
    if not providers:
        raise NotFound("Nobody signs on elsewhere here", errcode="M_UNRECOGNIZED")
    if len(providers) == 1:
        return await begin(call, providers[0].id, _purpose(params))
    query = {"redirectUrl": params.redirect_url, **({"action": params.action} if params.action else {})}
    base = "/_matrix/client/v3/login/sso/redirect"
    links = [(item.name, f"{base}/{item.id}?{urlencode(query)}") for item in providers]
    return await render_template("sso_providers.html", links=links)


@blueprint.serves(wire.redirect_to_idp)
async def redirect_to_idp(call: Call, params: wire.ProviderRedirectParams) -> ResponseReturnValue:
    """GET /login/sso/redirect/{idpId}."""
    check_redirect_url(params.redirect_url)
    return await begin(call, params.idp_id, _purpose(params))


@blueprint.serves(pages.get_client)
async def get_client(call: Call, params: pages.ContinueParams) -> ResponseReturnValue:
    """GET /_palpo/account/continue: who is signed in goes on to a client, if they want to."""
    check_redirect_url(params.redirect_url)
    browser = await signed_in(call)
    if call.services.sign_on.sign_ons.is_listed(params.redirect_url):
        return await _give(call, browser.user_id, params.redirect_url)
    _allow_client(params.redirect_url)
    return await render_template(
        "sso_continue.html", client=shown(params.redirect_url), user_id=browser.user_id
    )


@blueprint.form(pages.continue_to_client)
async def continue_to_client(call: Call, params: pages.ContinueParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/continue."""
    check_redirect_url(params.redirect_url)
    return await _give(call, (await signed_in(call)).user_id, params.redirect_url)


@blueprint.serves(pages.sign_in_upstream)
async def sign_in_upstream(call: Call, params: pages.UpstreamParams) -> ResponseReturnValue:
    """GET /_palpo/account/upstream/{id}: from this server's own page for signing in."""
    action = REGISTER if params.action == REGISTER else ""
    return await begin(call, params.idp_id, ForBrowser(next=safe_path(params.next), action=action))


@blueprint.serves(pages.get_confirmation)
async def get_confirmation(call: Call, params: pages.ConfirmParams) -> ResponseReturnValue:
    """GET /_palpo/account/confirm: what a client wants has to be confirmed by signing on once more.

    Nobody is sent on by a link alone: a provider may ask nothing of who is signed in there.
    """
    call.services.accounts.interactive_auth.check_good(params.session)
    # Browsers hold what a form's answer redirects to against this too: the provider's page, wherever it is.
    allow(form_action="'self' https: http:")
    providers = [item.config for item in call.services.sign_on.providers]
    return await render_template("sso_confirmation.html", providers=providers)


@blueprint.form(pages.confirm)
async def confirm(call: Call, params: pages.ConfirmParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/confirm."""
    call.services.accounts.interactive_auth.check_good(params.session)
    return await begin(call, form.get("provider", ""), ForStage(session=params.session), status=303)


@blueprint.serves(wire.finish_oidc)
async def finish_oidc(call: Call, params: wire.OidcParams) -> ResponseReturnValue:
    """GET /_synapse/client/oidc/callback."""
    brought = {"code": params.code, "error": params.error, "iss": params.iss}
    answer = {name: value for name, value in brought.items() if value is not None}
    return await finish(call, params.state, answer, OidcProvider)


@blueprint.serves(wire.finish_cas)
async def finish_cas(call: Call, params: wire.CasParams) -> ResponseReturnValue:
    """GET /_synapse/client/cas/callback."""
    return await finish(call, params.state, {"ticket": params.ticket}, CasProvider)


@blueprint.serves(wire.finish_saml)
async def finish_saml(call: Call, params: NoParams) -> ResponseReturnValue:
    """POST /_synapse/client/saml2/authn_response: the form is the provider's, its proof a signature."""
    answer = _saml_fields(call, "SAMLResponse", "RelayState")
    return await finish(call, answer["RelayState"], answer, SamlProvider)


@blueprint.serves(wire.log_out_by_saml)
async def log_out_by_saml(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_synapse/client/saml2/logout: a provider logs out whoever its signature says."""
    return await _logged_out(call, call.query, {})


@blueprint.serves(wire.log_out_by_saml_form)
async def log_out_by_saml_form(call: Call, params: NoParams) -> ResponseReturnValue:
    """POST /_synapse/client/saml2/logout."""
    return await _logged_out(call, "", _saml_fields(call, "SAMLRequest"))


@blueprint.form(wire.pick_localpart)
async def pick_localpart(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_synapse/client/sso/account: a new user's choice."""
    sign_ons, cookies = call.services.sign_on.sign_ons, _cookies(call)
    localpart = form.get("localpart", "").strip().removeprefix("@").partition(":")[0]
    sealed = form.get("sealed", "")
    asked = sign_ons.describe(sealed, cookies)
    try:
        if _terms(call) and not form.get("terms"):
            raise BadRequest(_("Please fill in everything that is asked for."))
        finished = await sign_ons.pick(sealed, cookies, localpart, charge=lambda: _charge(call))
    except MatrixError as error:
        return await _ask_name(call, asked, localpart=localpart, message=error.message), error.status
    return await _go_on(call, finished)


@blueprint.form(wire.consent_to_client)
async def consent_to_client(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_synapse/client/sso/continue: the user lets the client log in."""
    finished = await call.services.sign_on.sign_ons.consent(form.get("sealed", ""), _cookies(call))
    return await _go_on(call, finished)


def _saml_fields(call: Call, *needed: str) -> dict[str, str]:
    """The fields of a form that a provider has made; raises BadRequest unless those needed are there."""
    try:
        fields = parse_qs(call.body.decode("ascii"), max_num_fields=10)
    except ValueError:
        fields = {}
    if not all(name in fields for name in needed):
        raise BadRequest("That is no message of a provider")
    return {name: values[0] for name, values in fields.items()}


async def _logged_out(call: Call, query: str, form: dict[str, str]) -> ResponseReturnValue:
    location = await call.services.sign_on.logouts.log_out_by_saml(query, form)
    if location:
        return Response(status=303, headers={"Location": location})
    return await render_template("signed_out.html", provider="", url="")


async def begin(call: Call, provider: str, purpose: Purpose, *, status: int = 302) -> Response:
    """Send the browser to a provider."""
    beginning = await call.services.sign_on.providers.begin(provider, purpose)
    headers = {"Location": beginning.url, "Set-Cookie": beginning.cookie, "Cache-Control": "no-store"}
    return Response(status=status, headers=headers)


async def finish(call: Call, flow_id: str, answer: dict[str, str], kind: type) -> ResponseReturnValue:
    """What comes of a browser's return from a provider of this kind."""
    outcome = await call.services.sign_on.sign_ons.finish(
        flow_id, _cookies(call), answer, kind=kind, charge=lambda: _charge(call)
    )
    if isinstance(outcome, AskName):
        return await _ask_name(call, outcome, localpart=outcome.suggested)
    if isinstance(outcome, AskConsent):
        _allow_client(outcome.url)
        return await render_template("sso_consent.html", asked=outcome)
    if isinstance(outcome, StageDone):
        return await render_template("auth_fallback_done.html"), 200, {"Set-Cookie": outcome.cookie}
    return await _go_on(call, outcome)


async def _give(call: Call, user_id: UserId, redirect_url: str) -> Response:
    token = await call.services.accounts.logins.make_login_token(user_id, lifetime_ms=LOGIN_TOKEN_MS)
    location = with_login_token(redirect_url, token)
    return Response(status=303, headers={"Location": location, "Cache-Control": "no-store"})


async def _ask_name(call: Call, asked: AskName, *, localpart: str, message: str = "") -> str:
    _allow_client(asked.url)
    return await render_template(
        "sso_account.html",
        asked=asked,
        localpart=localpart[:MAX_LENGTH],
        message=message,
        terms=_terms(call),
    )


def _terms(call: Call) -> Sequence[TermsDocument]:
    """The documents that new users accept, as those do who register."""
    return call.services.server.config.registration.terms


async def _go_on(call: Call, finished: Finished) -> Response:
    if isinstance(finished, SignedIn):
        token = await begin_session(call, finished.user_id)
        lifetime_ms = call.services.accounts.browser_sessions.lifetime_s * 1000
        await call.services.sign_on.upstream_sessions.remember(
            token, finished.user_id, finished.upstream, lifetime_ms=lifetime_ms
        )
    url = safe_path(finished.next) if isinstance(finished, SignedIn) else finished.url
    headers = {"Location": url, "Set-Cookie": finished.cookie, "Cache-Control": "no-store"}
    return Response(status=303, headers=headers)


def _allow_client(url: str) -> None:
    """Browsers hold what a form's answer redirects to against the policy too: the client's page, wherever."""
    if url:
        allow(form_action=f"'self' {scheme_of(url)}:")


def _purpose(params: wire.RedirectParams) -> ForClient:
    action = params.action if params.action in ("login", REGISTER) else ""
    return ForClient(redirect_url=params.redirect_url, action=action or "")


def _cookies(call: Call) -> dict[str, str]:
    return cookies_of(call.headers.get("cookie", ""))


def _charge(call: Call) -> None:
    call.charge(limit=Limit.REGISTRATION)
