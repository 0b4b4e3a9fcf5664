"""Making an account in a browser.

What registration asks for are the stages of user-interactive auth (``api/client/registration.py``): what they
ask is in one form, and they are gone through one after the other. Only an email address is shown first, since
its user follows a link for that, which leads back here.
"""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode

from quart import render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.client.registration import authorised, registration_flows
from palpo.api.pages.auth_fallback import allow_captcha
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.browsers import Form, SeeOther, is_secure, safe_path, sign_in, visitor
from palpo.api.pages.translations import translate as _
from palpo.core.errors import BadRequest, InteractiveAuth, MatrixError
from palpo.services.accounts.registration import Proof
from palpo.services.accounts.registration_stages import EMAIL, RECAPTCHA, TERMS
from palpo.services.accounts.threepids import REGISTER, SESSION_ID
from palpo.services.accounts.user_interactive_auth import DUMMY, REGISTRATION_TOKEN, Flow
from palpo.wire.endpoint import Limit
from palpo.wire.pages import registration as wire

blueprint = PageBlueprint("registration", __name__, has_forms=True)


@blueprint.serves(wire.get_registration)
async def get_registration(call: Call, params: wire.ProofParams) -> ResponseReturnValue:
    """GET /_palpo/account/register."""
    if await visitor(call) is not None:
        raise SeeOther(safe_path(params.next))
    return await _page(call, params, {})


@blueprint.form(wire.register)
async def register(call: Call, params: wire.ProofParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/register: the account, or the message that shows an address."""
    flows = await registration_flows(call)
    try:
        if _asks_for_address(params, flows):
            call.charge(limit=Limit.THIRD_PARTY)
            await send_link(call, REGISTER, form.get("email", ""), wire.REGISTRATION_PATH, params.next)
            return await render_template("link_sent.html")
        await _register(call, params, form, flows)
    except MatrixError as error:
        if isinstance(error, InteractiveAuth):
            raise
        return await _page(call, params, form, message=_(error.message)), error.status
    raise SeeOther(safe_path(params.next))


async def _register(call: Call, params: wire.ProofParams, form: Form, flows: list[Flow]) -> None:
    registration = call.services.accounts.registration
    username, password = form.get("username", "").strip(), form.get("password", "")
    if not username or not password:
        raise BadRequest("Please enter a username and a password.")
    if password != form.get("again", ""):
        raise BadRequest(_("The two passwords are not the same."))
    registration.check_password(password)
    await registration.check_available(username)
    proof = await _prove(call, params, form, flows)
    user_id, _session = await registration.register(username, password, None, proof=proof)
    await sign_in(call, user_id)


async def _prove(call: Call, params: wire.ProofParams, form: Form, flows: list[Flow]) -> Proof:
    """Go through the first flow for which the form has all; raises what a stage raises."""
    shown = _shown(params, form)
    flow = next((flow for flow in flows if set(flow) <= set(shown)), None)
    if flow is None:
        raise BadRequest(_("Please fill in everything that is asked for."))
    session = None
    for stage in flow:
        auth = {**shown[stage], "type": stage}
        if session is not None:
            auth["session"] = session
        try:
            return await authorised(call, auth, flows)
        except InteractiveAuth as challenge:
            if challenge.failure is not None:
                raise challenge.failure from None
            session = challenge.fields["session"]
    raise BadRequest(_("Please fill in everything that is asked for."))


def _shown(params: wire.ProofParams, form: Form) -> dict[str, dict[str, Any]]:
    """What the form shows for each stage that it has anything for."""
    found: dict[str, dict[str, Any]] = {DUMMY: {}}
    if form.get("token"):
        found[REGISTRATION_TOKEN] = {"token": form["token"].strip()}
    if form.get("terms"):
        found[TERMS] = {}
    if form.get("g-recaptcha-response"):
        found[RECAPTCHA] = {"response": form["g-recaptcha-response"]}
    if params.sid:
        found[EMAIL] = {"threepid_creds": {"sid": params.sid, "client_secret": params.client_secret}}
    return found


def _asks_for_address(params: wire.ProofParams, flows: list[Flow]) -> bool:
    return not params.sid and all(EMAIL in flow for flow in flows)


async def _page(call: Call, params: wire.ProofParams, form: Form, *, message: str = "") -> str:
    flows = await registration_flows(call)
    config = call.services.server.config
    if _asks_for_address(params, flows):
        return await render_template("email_address.html", title=_("Create an account"), message=message)
    captcha = config.registration.captcha if any(RECAPTCHA in flow for flow in flows) else None
    if captcha is not None:
        allow_captcha(captcha.script_url)
    return await render_template(
        "registration.html",
        username=form.get("username", ""),
        given_token=form.get("token", params.token),
        message=message,
        captcha=captcha,
        terms=config.registration.terms if any(TERMS in flow for flow in flows) else (),
        token=any(REGISTRATION_TOKEN in flow for flow in flows),
        needs_token=all(REGISTRATION_TOKEN in flow for flow in flows),
        minimum=config.password.minimum_length,
        then=urlencode({"next": safe_path(params.next)}),
    )


async def send_link(call: Call, purpose: str, email: str, path: str, then: str) -> None:
    """Send a link to an address that leads to a page of this server's; raises as ``request_email`` does."""
    secret = secrets.token_urlsafe(24)
    base = call.services.server.config.public_url.rstrip("/")
    if not base:
        base = f"{'https' if is_secure(call) else 'http'}://{call.services.server.config.server_name}"
    query = urlencode({"sid": SESSION_ID, "client_secret": secret, "next": safe_path(then)})
    await call.services.accounts.threepids.request_email(purpose, email, secret, 1, f"{base}{path}?{query}")
