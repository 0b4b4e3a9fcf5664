"""Where users allow clients what they ask for: with a redirect, or by the code that a device shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, urlencode, urlsplit

from quart import Response, render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.client.oauth import base_url
from palpo.api.client.registration import is_open
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.browsers import Form, SeeOther, here, sign_in_path, signed_in, visitor
from palpo.api.pages.errors import shown
from palpo.api.pages.security import allow, own
from palpo.api.pages.translations import language
from palpo.api.pages.translations import translate as _
from palpo.core.errors import BadRequest, MatrixError, NotFound
from palpo.core.oauth.errors import (
    ACCESS_DENIED,
    CONSENT_REQUIRED,
    INVALID_REQUEST,
    LOGIN_REQUIRED,
    OAuthError,
)
from palpo.core.records.browser_sessions import BrowserSession
from palpo.services.oauth.authorization import FORM_POST, AuthorizationRequest, Refused, Target
from palpo.services.sign_on.flows import REGISTER
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import oauth as wire
from palpo.wire.pages.registration import REGISTRATION_PATH

blueprint = PageBlueprint("oauth", __name__, has_forms=True)
MAX_FIELDS = 50
ASKING = frozenset({"consent", "create", "login", "select_account"})
"""What a client may want the user to be asked, or to do (OpenID Connect Core, 3.1.2.1)."""


@blueprint.serves(wire.get_authorization)
async def get_authorization(call: Call, params: NoParams) -> ResponseReturnValue:
    """GET /_palpo/oauth2/authorize."""
    try:
        asked, request = await _read(call)
        browser = await visitor(call)
        prompts = asked.get("prompt", "").split()
        allowed = browser is not None and await _is_allowed(call, request, browser, prompts)
        if "none" in prompts and not allowed:
            raise Refused(request.target, _cannot_be_silent(browser))
    except Refused as refused:
        return await _tell(call, refused.target, error=refused.code, error_description=refused.message)
    if browser is None and "create" in prompts and await is_open(call):
        raise SeeOther(f"{REGISTRATION_PATH}?{urlencode({'next': here(call)})}")
    if browser is None:
        hint = {"login_hint": asked["login_hint"]} if asked.get("login_hint") else {}
        wanted = {"action": REGISTER} if "create" in prompts else {}
        raise SeeOther(sign_in_path(here(call), **hint, **wanted))
    if allowed:
        return await _allow(call, request, browser)
    return await _consent(call, request, browser)


@blueprint.form(wire.decide_authorization)
async def decide_authorization(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/oauth2/authorize: the page's own form, with the request in its address still."""
    browser = await signed_in(call)
    try:
        _asked, request = await _read(call)
    except Refused as refused:
        return await _tell(call, refused.target, error=refused.code, error_description=refused.message)
    _allow_leaving(request.target)
    if form.get("decision") != "allow":
        return await _tell(call, request.target, error=ACCESS_DENIED, error_description="The user refused")
    return await _allow(call, request, browser)


@blueprint.serves(wire.get_device_link)
async def get_device_link(call: Call, params: wire.LinkParams) -> ResponseReturnValue:
    """GET /_palpo/oauth2/link."""
    base_url(call)
    browser = await signed_in(call)
    if not params.user_code:
        return await _link_page(browser)
    try:
        waiting = await call.services.oauth.device_codes.waiting(params.user_code)
    except NotFound as error:
        return await _link_page(browser, message=_(error.message), code=params.user_code), 404
    return await render_template(
        "oauth_consent.html",
        client=waiting.client.metadata,
        language=language(),
        browser=browser,
        device_id=waiting.code.device_id,
        replaces=await _has(call, browser, waiting.code.device_id),
        user_code=f"{waiting.code.user_code[:4]}-{waiting.code.user_code[4:]}",
        goes_to="",
        here=here(call),
    )


@blueprint.form(wire.decide_device_link)
async def decide_device_link(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/oauth2/link."""
    base_url(call)
    browser = await signed_in(call)
    allows = form.get("decision") == "allow"
    try:
        await call.services.oauth.device_codes.decide(
            browser.user_id, form.get("user_code", ""), allow=allows
        )
    except NotFound as error:
        return await _link_page(browser, message=_(error.message)), 404
    return await render_template("oauth_link_done.html", allowed=allows)


async def _read(call: Call) -> tuple[dict[str, str], AuthorizationRequest]:
    """A request by the address; raises OAuthError, and Refused where its client can be told."""
    base_url(call)
    try:
        pairs = parse_qsl(call.query, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest("The request cannot be read") from None
    asked = dict(pairs)
    if len(asked) != len(pairs) or any("\0" in value for value in asked.values()):
        # RFC 6749, 3.1: what is given twice could mean one thing here and another elsewhere.
        raise OAuthError(INVALID_REQUEST, "A parameter is given twice, or cannot be read")
    return asked, await call.services.oauth.requests.read(asked)


async def _is_allowed(
    call: Call, request: AuthorizationRequest, browser: BrowserSession, prompts: Sequence[str]
) -> bool:
    """Whether the user has allowed the same before, and the client does not want them to be asked."""
    if not ASKING.isdisjoint(prompts):
        return False
    return await call.services.oauth.consents.covers(browser.user_id, request)


async def _allow(call: Call, request: AuthorizationRequest, browser: BrowserSession) -> ResponseReturnValue:
    code = await call.services.oauth.grants.allow(browser.user_id, request)
    return await _tell(call, request.target, code=code)


def _cannot_be_silent(browser: BrowserSession | None) -> OAuthError:
    if browser is None:
        return OAuthError(LOGIN_REQUIRED, "Nobody is signed in with the browser")
    return OAuthError(CONSENT_REQUIRED, "The user has to be asked")


async def _has(call: Call, browser: BrowserSession, device_id: str) -> bool:
    """Whether the user has a session of that name, whose place the new one would take."""
    return any(
        device.device_id == device_id for device in await call.services.accounts.devices.list(browser.user_id)
    )


async def _consent(call: Call, request: AuthorizationRequest, browser: BrowserSession) -> str:
    _allow_leaving(request.target)
    return await render_template(
        "oauth_consent.html",
        client=request.client.metadata,
        language=language(),
        browser=browser,
        device_id=request.device_id,
        replaces=await _has(call, browser, request.device_id),
        user_code="",
        goes_to=_place(request.target.redirect_uri),
        here=here(call),
    )


async def _tell(call: Call, target: Target, **fields: str) -> ResponseReturnValue:
    """Send the browser to the client with an answer."""
    answer = target.answer(f"{base_url(call)}/", **fields)
    if target.response_mode != FORM_POST:
        return Response(status=303, headers={"Location": target.location(answer)})
    _allow_leaving(target)
    return await _form_post(target.redirect_uri, answer)


async def _form_post(uri: str, fields: Mapping[str, str]) -> str:
    allow(script_src=own())
    return await render_template("oauth_form_post.html", uri=uri, fields=fields)


def _allow_leaving(target: Target) -> None:
    """Browsers hold where a form's answer redirects to against the policy of the form's page."""
    parts = urlsplit(target.redirect_uri)
    place = f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"
    allow(form_action=f"'self' {place}")


def _place(uri: str) -> str:
    """What a user is told of where a redirect URI leads: its host, or the scheme of an application."""
    parts = urlsplit(uri)
    return parts.netloc or f"{parts.scheme}:"


async def _link_page(browser: BrowserSession, *, message: str = "", code: str = "") -> str:
    return await render_template("oauth_link.html", browser=browser, message=message, code=code)


@blueprint.errorhandler(MatrixError)
async def show(error: MatrixError) -> ResponseReturnValue:
    """What nobody can be sent elsewhere with is shown to the user."""
    return await shown(error)
