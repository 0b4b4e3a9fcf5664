"""Signing on elsewhere: the way there, and what users are asked when they come back."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode

from quart import Response, render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.security import allow
from palpo.core.errors import BadRequest, MatrixError, NotFound
from palpo.core.identifiers import MAX_LENGTH
from palpo.services.sign_on.clients import check_redirect_url, scheme_of
from palpo.services.sign_on.flows import ForClient, Purpose, cookies_of
from palpo.services.sign_on.oidc.provider import OidcProvider
from palpo.services.sign_on.sign_ons import AskConsent, AskName, GoOn, Outcome
from palpo.wire.client import sso as wire
from palpo.wire.endpoint import Limit, NoParams

blueprint = PageBlueprint("sso", __name__)


@blueprint.serves(wire.redirect_to_sso)
async def redirect_to_sso(call: Call, params: wire.RedirectParams) -> ResponseReturnValue:
    """GET /login/sso/redirect: where there are several providers, the user picks one."""
    check_redirect_url(params.redirect_url)
    providers = [item.config for item in call.services.sign_on.providers]
    if not providers:
        raise NotFound("Nobody signs on elsewhere here", errcode="M_UNRECOGNIZED")
    if len(providers) == 1:
        return await begin(call, providers[0].id, _purpose(params))
    query = {"redirectUrl": params.redirect_url, **({"action": params.action} if params.action else {})}
    links = [
        (item, f"/_matrix/client/v3/login/sso/redirect/{item.id}?{urlencode(query)}") for item in providers
    ]
    return await render_template("sso_providers.html", links=links)


@blueprint.serves(wire.redirect_to_idp)
async def redirect_to_idp(call: Call, params: wire.ProviderRedirectParams) -> ResponseReturnValue:
    """GET /login/sso/redirect/{idpId}."""
    check_redirect_url(params.redirect_url)
    return await begin(call, params.idp_id, _purpose(params))


@blueprint.serves(wire.finish_oidc)
async def finish_oidc(call: Call, params: wire.OidcParams) -> ResponseReturnValue:
    """GET /_synapse/client/oidc/callback."""
    brought = {"code": params.code, "error": params.error, "iss": params.iss}
    answer = {name: value for name, value in brought.items() if value is not None}
    return await finish(call, params.state, answer, OidcProvider)


@blueprint.serves(wire.pick_localpart)
async def pick_localpart(call: Call, params: NoParams) -> ResponseReturnValue:
    """POST /_synapse/client/sso/account: a new user's choice."""
    fields = form_fields(call)
    sign_ons, cookies = call.services.sign_on.sign_ons, cookies_of(call.headers.get("cookie", ""))
    localpart = fields.get("localpart", "").strip().removeprefix("@").partition(":")[0]
    sealed = fields.get("sealed", "")
    try:
        outcome = await sign_ons.pick(sealed, cookies, localpart, charge=lambda: _charge(call))
    except MatrixError as error:
        asked = sign_ons.describe(sealed, cookies)
        page = await _ask_name(call, asked, localpart=localpart, message=error.message)
        return page, error.status
    return _go_on(outcome)


@blueprint.serves(wire.consent_to_client)
async def consent_to_client(call: Call, params: NoParams) -> ResponseReturnValue:
    """POST /_synapse/client/sso/continue: the user lets the client log in."""
    cookies = cookies_of(call.headers.get("cookie", ""))
    return _go_on(await call.services.sign_on.sign_ons.consent(form_fields(call).get("sealed", ""), cookies))


async def begin(call: Call, provider: str, purpose: Purpose, *, status: int = 302) -> Response:
    """Send the browser to a provider."""
    beginning = await call.services.sign_on.providers.begin(provider, purpose)
    headers = {"Location": beginning.url, "Set-Cookie": beginning.cookie, "Cache-Control": "no-store"}
    return Response(status=status, headers=headers)


async def finish(call: Call, flow_id: str, answer: dict[str, str], kind: type) -> ResponseReturnValue:
    """What comes of a browser's return from a provider."""
    cookies = cookies_of(call.headers.get("cookie", ""))
    outcome = await call.services.sign_on.sign_ons.finish(
        flow_id, cookies, answer, kind=kind, charge=lambda: _charge(call)
    )
    return await _show(call, outcome)


def form_fields(call: Call) -> dict[str, str]:
    """The fields of a form; raises BadRequest."""
    try:
        fields = parse_qs(call.body.decode("ascii"), max_num_fields=20)
    except ValueError:
        raise BadRequest("Not a form") from None
    return {name: values[-1] for name, values in fields.items()}


async def _show(call: Call, outcome: Outcome) -> ResponseReturnValue:
    if isinstance(outcome, GoOn):
        return _go_on(outcome)
    if isinstance(outcome, AskName):
        return await _ask_name(call, outcome, localpart=outcome.suggested)
    if isinstance(outcome, AskConsent):
        _allow_client(outcome.url)
        return await render_template("sso_consent.html", asked=outcome)
    page = await render_template("auth_fallback_done.html")
    return page, 200, {"Set-Cookie": outcome.cookie}


async def _ask_name(call: Call, asked: AskName, *, localpart: str, message: str = "") -> str:
    _allow_client(asked.url)
    return await render_template(
        "sso_account.html", asked=asked, localpart=localpart[:MAX_LENGTH], message=message
    )


def _allow_client(url: str) -> None:
    """Browsers hold what a form's answer redirects to against the policy too: the client's page, wherever."""
    allow(form_action=f"'self' {scheme_of(url)}:")


def _go_on(outcome: GoOn) -> Response:
    headers = {"Location": outcome.url, "Set-Cookie": outcome.cookie, "Cache-Control": "no-store"}
    return Response(status=303, headers=headers)


def _purpose(params: wire.RedirectParams) -> ForClient:
    action = params.action if params.action in ("login", "register") else ""
    return ForClient(redirect_url=params.redirect_url, action=action or "")


def _charge(call: Call) -> None:
    call.charge(limit=Limit.REGISTRATION)
