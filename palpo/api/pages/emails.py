"""Where users say which email addresses are theirs: by them they find their accounts again."""

from __future__ import annotations

from quart import render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.browsers import HOME, Form, signed_in_lately
from palpo.api.pages.errors import shown
from palpo.api.pages.registration import send_link
from palpo.api.pages.translations import translate as _
from palpo.core.errors import MatrixError
from palpo.core.records.browser_sessions import BrowserSession
from palpo.services.accounts.threepids import ADD, EMAIL, auth_failed
from palpo.wire.pages import account as wire

blueprint = PageBlueprint("emails", __name__, has_forms=True)
MAX_EMAIL = 254
"""Characters."""


@blueprint.serves(wire.get_emails)
async def get_emails(call: Call, params: wire.EmailParams) -> str:
    """GET /_palpo/account/emails: those there are; with what a link has, whether to add that one."""
    browser = await signed_in_lately(call)
    if not params.sid:
        return await _emails(call, browser)
    proven = await call.services.accounts.threepids.validated(params.sid, params.client_secret)
    return await _emails(call, browser, new=proven.address)


@blueprint.form(wire.change_emails)
async def change_emails(call: Call, params: wire.EmailParams, form: Form) -> ResponseReturnValue:
    """POST /_palpo/account/emails: have a link sent, add the address that it was sent to, or remove one."""
    browser = await signed_in_lately(call)
    browser.refuse_suspended()
    threepids = call.services.accounts.threepids
    try:
        if form.get("do") == "remove":
            await threepids.remove(browser.user_id, EMAIL, form.get("email", "")[:MAX_EMAIL])
            return await _emails(call, browser, said=_("The address is removed."))
        if form.get("do") == "confirm":
            await _add(call, browser, params)
            return await _emails(call, browser, said=_("The address is yours now."))
        await send_link(call, ADD, form.get("email", "")[:MAX_EMAIL], wire.EMAILS_PATH, "")
    except MatrixError as error:
        return await _emails(call, browser, message=_(error.message)), error.status
    return await render_template("link_sent.html")


async def _add(call: Call, browser: BrowserSession, params: wire.EmailParams) -> None:
    """Add the address that a link was sent to, once that was confirmed; raises Forbidden, BadRequest."""
    threepids = call.services.accounts.threepids
    proven = await threepids.validated(params.sid, params.client_secret)
    if proven.purpose != ADD:
        raise auth_failed()
    await threepids.add(browser.user_id, proven)


async def _emails(
    call: Call, browser: BrowserSession, *, new: str = "", message: str = "", said: str = ""
) -> str:
    threepids = call.services.accounts.threepids
    found = await threepids.of_user(browser.user_id)
    return await render_template(
        "account_emails.html",
        browser=browser,
        paths=wire,
        home=HOME,
        emails=[item.address for item in found if item.medium == EMAIL],
        can_add=threepids.enabled,
        new=new,
        message=message,
        said=said,
    )


@blueprint.errorhandler(MatrixError)
async def show(error: MatrixError) -> ResponseReturnValue:
    """Whatever else is wrong is shown to the user."""
    return await shown(error)
