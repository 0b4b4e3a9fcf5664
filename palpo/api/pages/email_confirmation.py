"""The page that the link in a message leads to."""

from __future__ import annotations

from quart import Response, render_template
from quart.typing import ResponseReturnValue

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.security import allow
from palpo.core.errors import MatrixError
from palpo.wire.client import threepids as wire

blueprint = PageBlueprint("email_confirmation", __name__)


@blueprint.serves(wire.get_submit_page)
async def get_submit_page(call: Call, params: wire.SubmitParams) -> str:
    """Nothing is confirmed yet: programs that look at links press no button."""
    # Browsers hold what a form's answer redirects to against this too: the client's page, wherever it is.
    allow(form_action="'self' https: http:")
    return await render_template("email_confirmation.html", step="ask")


@blueprint.serves(wire.submit_email_token)
async def submit_email_token(call: Call, params: wire.SubmitParams) -> ResponseReturnValue:
    """The page's own form."""
    try:
        next_link = await call.services.accounts.threepids.submit(params.sid, params.token)
    except MatrixError as error:
        page = await render_template("email_confirmation.html", step="failed", message=error.message)
        return page, error.status
    if next_link is not None:
        return Response(status=303, headers={"Location": next_link})
    return await render_template("email_confirmation.html", step="done")
