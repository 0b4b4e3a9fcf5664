"""A new password for who has forgotten the old one: a link is sent to an address of the account."""

from __future__ import annotations

import secrets

from quart import render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.browsers import Form, SeeOther, safe_path, sign_in
from palpo.api.pages.registration import send_link
from palpo.api.pages.translations import translate as _
from palpo.core.errors import Forbidden, MatrixError
from palpo.core.identifiers import UserId
from palpo.services.accounts.threepids import RESET_PASSWORD, auth_failed
from palpo.wire.pages import registration as wire

blueprint = PageBlueprint("recovery", __name__, has_forms=True)


@blueprint.serves(wire.get_recovery)
async def get_recovery(call: Call, params: wire.ProofParams) -> str:
    """GET /_palpo/account/recover."""
    _check_enabled(call)
    return await _ask()


@blueprint.form(wire.recover)
async def recover(call: Call, params: wire.ProofParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/recover: the answer is the same whoever has the address."""
    _check_enabled(call)
    email = form.get("email", "")
    try:
        await send_link(call, RESET_PASSWORD, email, wire.NEW_PASSWORD_PATH, params.next)
    except MatrixError as error:
        return await _ask(message=_(error.message)), error.status
    return await render_template("link_sent.html")


@blueprint.serves(wire.get_new_password)
async def get_new_password(call: Call, params: wire.ProofParams) -> str:
    """GET /_palpo/account/recover/password: where the link leads when it was confirmed."""
    _check_enabled(call)
    await call.services.accounts.threepids.validated(params.sid, params.client_secret)
    return await _new_password(call)


@blueprint.form(wire.set_new_password)
async def set_new_password(call: Call, params: wire.ProofParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/recover/password."""
    _check_enabled(call)
    password = form.get("new_password", "")
    if password != form.get("again", ""):
        return await _new_password(call, message=_("The two passwords are not the same.")), 400
    try:
        call.services.accounts.registration.check_password(password)
        user_id = await _whose(call, params)
    except MatrixError as error:
        return await _new_password(call, message=_(error.message)), error.status
    await call.services.accounts.accounts.set_password(user_id, password, log_out="others" in form)
    await call.services.accounts.browser_sessions.end_all(user_id)
    await sign_in(call, user_id)
    raise SeeOther(safe_path(params.next))


async def _whose(call: Call, params: wire.ProofParams) -> UserId:
    """Whose account has the address that was shown, which is good for one password; raises Forbidden."""
    threepids = call.services.accounts.threepids
    shown = f"page {secrets.token_urlsafe(18)}"
    await threepids.show({"sid": params.sid, "client_secret": params.client_secret}, shown, None)
    proven = await threepids.proven(shown, RESET_PASSWORD)
    owner = None if proven is None else await threepids.owner(proven.medium, proven.address)
    if owner is None:
        raise auth_failed()
    return owner


async def _ask(*, message: str = "") -> str:
    return await render_template("email_address.html", title=_("Forgot your password?"), message=message)


async def _new_password(call: Call, *, message: str = "") -> str:
    minimum = call.services.server.config.password.minimum_length
    return await render_template("new_password.html", message=message, minimum=minimum)


def _check_enabled(call: Call) -> None:
    config = call.services.server.config
    if not config.passwords_enabled or not call.services.accounts.threepids.enabled:
        raise Forbidden("Passwords are not changed here")
