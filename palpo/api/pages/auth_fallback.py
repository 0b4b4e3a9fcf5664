"""Pages that complete a stage of user-interactive auth in a browser."""

from __future__ import annotations

from urllib.parse import parse_qs, urlencode, urlsplit

from quart import Response, render_template

from palpo.api.call import Call
from palpo.api.pages.blueprint import PageBlueprint
from palpo.api.pages.security import allow, own
from palpo.core.errors import BadRequest, MatrixError, NotFound
from palpo.services.accounts.registration_stages import RECAPTCHA, TERMS
from palpo.services.accounts.user_interactive_auth import DUMMY, REGISTRATION_TOKEN, SSO
from palpo.wire.client import auth_fallback as wire
from palpo.wire.pages.upstream import CONFIRM_PATH

blueprint = PageBlueprint("auth_fallback", __name__)


@blueprint.serves(wire.get_auth_fallback)
async def get_auth_fallback(call: Call, params: wire.FallbackParams) -> str | Response:
    """GET /auth/{type}/fallback/web."""
    if params.auth_type == SSO and call.services.sign_on.providers:
        location = f"{CONFIRM_PATH}?{urlencode({'session': params.session})}"
        return Response(status=302, headers={"Location": location})
    return await _form(call, params.auth_type)


@blueprint.serves(wire.post_auth_fallback)
async def post_auth_fallback(call: Call, params: wire.FallbackParams) -> str | tuple[str, int]:
    """POST /auth/{type}/fallback/web: the page's own form."""
    _check(call, params.auth_type)
    try:
        fields = parse_qs(call.body.decode(), max_num_fields=10)
    except ValueError:
        raise BadRequest("Not a form") from None
    auth = {name: values[-1] for name, values in fields.items()}
    try:
        await call.services.accounts.interactive_auth.complete_elsewhere(
            params.session, params.auth_type, auth
        )
    except MatrixError as error:
        return await _form(call, params.auth_type, message=error.message), error.status
    return await render_template("auth_fallback_done.html")


async def _form(call: Call, auth_type: str, *, message: str = "") -> str:
    """The form of a stage; raises NotFound."""
    _check(call, auth_type)
    registration = call.services.server.config.registration
    allow(form_action="'self'")
    if auth_type == RECAPTCHA:
        allow_captcha(registration.captcha.script_url)
    return await render_template(
        "auth_fallback.html", auth_type=auth_type, registration=registration, message=message
    )


def _check(call: Call, auth_type: str) -> None:
    """Raises NotFound for a stage that has no page: it asks one user, not known here."""
    registration = call.services.server.config.registration
    has_page = {
        DUMMY: True,
        REGISTRATION_TOKEN: True,
        TERMS: bool(registration.terms),
        RECAPTCHA: bool(registration.captcha.public_key),
    }
    if not has_page.get(auth_type):
        raise NotFound("There is no page for that type of authentication")


def allow_captcha(script_url: str) -> None:
    """What the challenge's script loads, and the styles that it writes, which have no nonce of ours."""
    parts = urlsplit(script_url)
    origins = f"{parts.scheme}://{parts.netloc} https://www.gstatic.com"
    allow(script_src=f"{own()} {origins}", frame_src=origins, style_src="'unsafe-inline'")
