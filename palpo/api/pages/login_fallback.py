"""A page that logs in, for clients that cannot."""

from quart import render_template

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.security import allow
from palpo.wire.client import login_fallback as wire
from palpo.wire.endpoint import NoParams

blueprint = PageBlueprint("login_fallback", __name__)


@blueprint.serves(wire.get_login_fallback)
async def get_login_fallback(call: Call, params: NoParams) -> str:
    """GET /_matrix/static/client/login/."""
    allow(connect_src="'self'")
    return await render_template(
        "login_fallback.html",
        passwords=call.services.server.config.passwords_enabled,
        providers=[item.config for item in call.services.sign_on.providers],
    )
