"""What a person sees who opens the server's address in a browser."""

from quart import render_template

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.errors import is_browser
from palpo.core.errors import Unrecognized
from palpo.wire.client import landing_page as wire
from palpo.wire.endpoint import NoParams

blueprint = PageBlueprint("landing_page", __name__)


@blueprint.serves(wire.get_landing_page)
async def get_landing_page(call: Call, params: NoParams) -> str:
    """GET /: programs are told what they always were, that there is nothing."""
    if not is_browser():
        raise Unrecognized("Unrecognized request")
    config = call.services.server.config
    return await render_template(
        "landing_page.html",
        public_url=config.public_url,
        is_open=config.registration.open,
        contacts=config.well_known,
    )
