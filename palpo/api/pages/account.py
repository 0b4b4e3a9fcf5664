"""Where users look after their accounts: profile, sessions, password, cross-signing, and the account's end.

What must be sure to be the user's own asks who signed in long ago to do so again (``signed_in_lately``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from quart import render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.browsers import (
    HOME,
    SESSION,
    Form,
    SeeOther,
    set_cookie,
    sign_in,
    sign_in_path,
    signed_in,
    signed_in_lately,
)
from palpo.api.pages.errors import shown
from palpo.api.pages.translations import language
from palpo.api.pages.translations import translate as _
from palpo.core.errors import Forbidden, MatrixError, NotFound
from palpo.core.identifiers import MAX_LENGTH
from palpo.core.records.browser_sessions import BrowserSession
from palpo.wire.endpoint import NoParams
from palpo.wire.pages import account as wire

blueprint = PageBlueprint("account", __name__, has_forms=True)
MAX_NAME = 255
"""Characters."""
ROOMS_FOR_ONE = 10
"""Rooms that a new name costs as much for as a request."""


@blueprint.serves(wire.get_account)
async def get_account(call: Call, params: wire.AccountParams) -> ResponseReturnValue:
    """GET /_palpo/account/: the profile, or, with ``action``, the page on which that is done."""
    path = wire.PATHS.get(params.action, HOME)
    if path != HOME:
        query = urlencode({"device_id": params.device_id}) if params.device_id else ""
        raise SeeOther(f"{path}?{query}" if query else path)
    return await _profile(call, await signed_in(call))


@blueprint.form(wire.change_profile)
async def change_profile(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/: a new display name."""
    browser = await signed_in(call)
    browser.refuse_suspended()
    rooms = await call.services.rooms.memberships.joined_rooms(browser.user_id)
    call.charge(len(rooms) // ROOMS_FOR_ONE)
    name = form.get("displayname", "").strip()[:MAX_NAME]
    if not browser.shadow_banned:
        await call.services.accounts.profiles.set_field(browser.user_id, "displayname", name)
    return await _profile(call, browser, said=_("Your display name is changed."))


@blueprint.serves(wire.get_sessions)
async def get_sessions(call: Call, params: NoParams) -> str:
    """GET /_palpo/account/sessions."""
    return await _sessions(call, await signed_in(call))


@blueprint.form(wire.end_sessions)
async def end_sessions(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/sessions: sign a browser out, or take back what an application was allowed."""
    browser = await signed_in(call)
    if client_id := form.get("client_id", "")[:MAX_LENGTH]:
        await call.services.oauth.consents.revoke(browser.user_id, client_id)
        return await _sessions(call, browser, said=_("The application is not allowed any more."))
    ended = form.get("session_id", "")[:MAX_LENGTH]
    await call.services.accounts.browser_sessions.end_named(browser.user_id, ended)
    if ended == browser.session_id:
        set_cookie(call, SESSION, None)
        raise SeeOther(sign_in_path(HOME))
    return await _sessions(call, browser, said=_("The browser is signed out."))


@blueprint.serves(wire.get_session)
async def get_session(call: Call, params: wire.DeviceParams) -> ResponseReturnValue:
    """GET /_palpo/account/session."""
    browser = await signed_in(call)
    if not params.device_id:
        raise SeeOther(wire.SESSIONS_PATH)
    return await _session(call, browser, params.device_id)


@blueprint.form(wire.change_session)
async def change_session(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/session: another name for a device, or its end."""
    browser = await signed_in(call)
    device_id = form.get("device_id", "")[:MAX_LENGTH]
    devices = call.services.accounts.devices
    await devices.get(browser.user_id, device_id)
    if form.get("do") == "end":
        await devices.remove(browser.user_id, [device_id])
        return await _sessions(call, browser, said=_("The session is signed out."))
    await devices.rename(browser.user_id, device_id, form.get("name", "").strip()[:MAX_NAME])
    return await _session(call, browser, device_id, said=_("The session has its new name."))


@blueprint.serves(wire.get_password)
async def get_password(call: Call, params: NoParams) -> str:
    """GET /_palpo/account/password."""
    _check_passwords(call)
    return await _password(call, await signed_in_lately(call))


@blueprint.form(wire.change_password)
async def change_password(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/password."""
    _check_passwords(call)
    browser = await signed_in_lately(call)
    new, ends = form.get("new_password", ""), "others" in form
    if new != form.get("again", ""):
        return await _password(call, browser, message=_("The two passwords are not the same.")), 400
    try:
        await call.services.accounts.accounts.set_password(browser.user_id, new, log_out=ends)
    except MatrixError as error:
        return await _password(call, browser, message=_(error.message)), error.status
    if ends:
        await sign_in(call, browser.user_id)
        raise SeeOther(HOME)
    return await _password(call, browser, said=_("Your password is changed."))


@blueprint.serves(wire.get_cross_signing)
async def get_cross_signing(call: Call, params: NoParams) -> str:
    """GET /_palpo/account/cross-signing."""
    return await _page("account_cross_signing.html", await signed_in_lately(call), done=False)


@blueprint.form(wire.reset_cross_signing)
async def reset_cross_signing(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/cross-signing: a client may replace the keys, within some minutes."""
    browser = await signed_in_lately(call)
    try:
        await call.services.encryption.cross_signing.allow_replacement(browser.user_id)
    except NotFound:
        message = _("There is nothing to reset: your account has no such identity yet.")
        return await _page("account_cross_signing.html", browser, done=False, message=message), 404
    return await _page("account_cross_signing.html", browser, done=True)


@blueprint.serves(wire.get_deactivation)
async def get_deactivation(call: Call, params: NoParams) -> str:
    """GET /_palpo/account/deactivate."""
    return await _page("account_deactivation.html", await signed_in_lately(call))


@blueprint.form(wire.deactivate)
async def deactivate(call: Call, params: NoParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/deactivate: the user has typed the name of the account."""
    browser = await signed_in_lately(call)
    if form.get("user_id", "").strip() != browser.user_id:
        message = _("That is not your user ID.")
        return await _page("account_deactivation.html", browser, message=message), 400
    accounts = call.services.accounts
    await accounts.identity_servers.unbind_all(browser.user_id, None)
    await accounts.accounts.deactivate(browser.user_id, erase="erase" in form)
    set_cookie(call, SESSION, None)
    return await render_template("account_gone.html")


async def _profile(call: Call, browser: BrowserSession, *, said: str = "") -> str:
    profile = await call.services.accounts.profiles.get(browser.user_id)
    addresses = await call.services.accounts.threepids.of_user(browser.user_id)
    return await _page(
        "account_profile.html",
        browser,
        said=said,
        displayname=profile.displayname or "",
        emails=[item.address for item in addresses if item.medium == "email"],
    )


async def _sessions(call: Call, browser: BrowserSession, *, said: str = "") -> str:
    accounts = call.services.accounts
    devices = sorted(await accounts.devices.list(browser.user_id), key=lambda item: -(item.last_seen_ts or 0))
    return await _page(
        "account_sessions.html",
        browser,
        said=said,
        devices=devices,
        allowed=await call.services.oauth.consents.list(browser.user_id),
        language=language(),
        browsers=await accounts.browser_sessions.list(browser.user_id),
        session_path=wire.SESSION_PATH,
        when=when,
    )


async def _session(
    call: Call, browser: BrowserSession, device_id: str, *, said: str = ""
) -> ResponseReturnValue:
    try:
        device = await call.services.accounts.devices.get(browser.user_id, device_id)
    except NotFound:
        return await _sessions(call, browser, said=_("There is no such session any more.")), 404
    grant = await call.services.oauth.grants.of_device(browser.user_id, device_id)
    client = None
    if grant is not None:
        client = (await call.services.oauth.clients.find(grant.client_id)).metadata
    return await _page(
        "account_session.html",
        browser,
        said=said,
        device=device,
        client=client,
        language=language(),
        when=when,
    )


async def _password(call: Call, browser: BrowserSession, *, message: str = "", said: str = "") -> str:
    minimum = call.services.server.config.password.minimum_length
    return await _page("account_password.html", browser, message=message, said=said, minimum=minimum)


async def _page(
    template: str, browser: BrowserSession, *, message: str = "", said: str = "", **values: Any
) -> str:
    return await render_template(
        template, browser=browser, paths=wire, message=message, said=said, home=HOME, **values
    )


def _check_passwords(call: Call) -> None:
    if not call.services.server.config.passwords_enabled:
        raise Forbidden("Passwords are not changed here")


def when(ts: int | None) -> str:
    """A time as a user reads it; nothing where there is none."""
    return "" if ts is None else datetime.fromtimestamp(ts / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


@blueprint.errorhandler(MatrixError)
async def show(error: MatrixError) -> ResponseReturnValue:
    """Whatever else is wrong is shown to the user."""
    return await shown(error)
