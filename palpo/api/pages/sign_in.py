"""Signing in with a browser, and out again."""

from __future__ import annotations

from urllib.parse import urlencode

import structlog
from quart import Response, render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.client.registration import is_open
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.browsers import (
    HOME,
    SESSION,
    Form,
    SeeOther,
    cookie,
    safe_path,
    set_cookie,
    sign_in_path,
    visitor,
)
from palpo.api.pages.browsers import sign_in as begin_session
from palpo.api.pages.translations import translate as _
from palpo.api.pages.upstream import upstreams
from palpo.core.errors import BadRequest, Forbidden, LimitExceeded, MatrixError, NotFound
from palpo.core.identifiers import MAX_LENGTH
from palpo.core.records.accounts import Account
from palpo.services.accounts.login_identifiers import THIRD_PARTY, user_of
from palpo.wire.client.login import Identified, Identifier
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import sign_in as wire

blueprint = PageBlueprint("sign_in", __name__, has_forms=True)
log = structlog.get_logger("palpo.login")

HINT = "mxid:"
"""What a hint at a user ID begins with (MSC4198)."""


@blueprint.serves(wire.get_sign_in)
async def get_sign_in(call: Call, params: wire.SignInParams) -> ResponseReturnValue:
    """GET /_palpo/account/login."""
    browser = await visitor(call)
    if browser is not None and not params.again:
        raise SeeOther(safe_path(params.next))
    user = browser.user_id if browser is not None else params.login_hint.removeprefix(HINT)[:MAX_LENGTH]
    return await _page(call, params, user)


@blueprint.form(wire.sign_in)
async def sign_in(call: Call, params: wire.SignInParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/login."""
    user = form.get("user", "").strip()[:MAX_LENGTH]
    try:
        account = await _prove(call, user, form.get("password", ""))
        await begin_session(call, account.user_id)
    except MatrixError as error:
        log.warning("login_failed", address=call.client_address, user=user, errcode=error.errcode)
        return await _page(call, params, user, message=_said(error)), error.status
    return Response(status=303, headers={"Location": safe_path(params.next)})


@blueprint.form(wire.sign_out)
async def sign_out(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/logout; ``next`` is where to sign in for."""
    token, elsewhere = cookie(call, SESSION), None
    if token:
        elsewhere = await call.services.sign_on.sign_ons.signed_in_at(token, _back(call))
        await call.services.accounts.browser_sessions.end(token)
    set_cookie(call, SESSION, None)
    if elsewhere is not None:
        return await render_template("signed_out.html", provider=elsewhere.provider, url=elsewhere.url)
    return Response(status=303, headers={"Location": sign_in_path(safe_path(form.get("next") or HOME))})


def _back(call: Call) -> str:
    return call.services.server.config.base_url.rstrip("/") + wire.LOGIN_PATH


async def _page(call: Call, params: wire.SignInParams, user: str, *, message: str = "") -> str:
    config = call.services.server.config
    then = safe_path(params.next)
    return await render_template(
        "sign_in.html",
        user=user,
        message=message,
        passwords=config.passwords_enabled,
        upstreams=upstreams(call, then, params.action),
        recovery=config.passwords_enabled and call.services.accounts.threepids.enabled,
        registration=await is_open(call),
        again=params.again,
        then=urlencode({"next": then}),
    )


async def _prove(call: Call, user: str, password: str) -> Account:
    """The account that a name, a user ID or an email address and its password prove."""
    if not call.services.server.config.passwords_enabled:
        raise NotFound("Nobody signs in by password here")
    if not user or not password:
        raise BadRequest(_("Please enter your username and your password."))
    accounts = call.services.accounts
    if "@" in user[1:] and not user.startswith("@"):
        identifier = Identifier(type=THIRD_PARTY, medium="email", address=user)
        user = await user_of(Identified(identifier=identifier), accounts.threepids)
    return await accounts.logins.check_password(user, password)


def _said(error: MatrixError) -> str:
    """What is said of an attempt: nothing of whether there is, or was, such an account."""
    if isinstance(error, LimitExceeded):
        return _("Too many attempts. Please wait a while before you try again.")
    if isinstance(error, Forbidden):
        return _("The username or the password is wrong.")
    return _(error.message)
