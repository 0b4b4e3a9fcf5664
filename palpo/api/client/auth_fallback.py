"""Pages that complete a stage of user-interactive auth in a browser."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, urlsplit

from palpo.api.call import Call, Handlers, Reply
from palpo.api.pages import page
from palpo.core.errors import BadRequest, MatrixError, NotFound
from palpo.services.accounts.registration_stages import RECAPTCHA, TERMS
from palpo.services.accounts.user_interactive_auth import DUMMY, REGISTRATION_TOKEN
from palpo.wire.client import auth_fallback as wire
from palpo.wire.endpoint import NoBody, Stream

handlers = Handlers()

TOKEN_FIELD = '<label>Registration token <input name="token" maxlength="64" required></label>'

FORM = '<p role="alert">{message}</p><form method="post">{field} <button>Continue</button></form>'
DONE = """<p>Thank you. You may close this window now and return to the application.</p>
<script>
if (window.onAuthDone) {
    window.onAuthDone();
} else if (window.opener && window.opener.postMessage) {
    window.opener.postMessage("authDone", "*");
}
</script>"""


@handlers.serves(wire.get_auth_fallback)
async def get_auth_fallback(call: Call, params: wire.FallbackParams, body: NoBody) -> Stream | Reply:
    """GET /auth/{type}/fallback/web."""
    return _page(call, _form(call, params.auth_type))


@handlers.serves(wire.post_auth_fallback)
async def post_auth_fallback(call: Call, params: wire.FallbackParams, body: NoBody) -> Stream | Reply:
    """POST /auth/{type}/fallback/web: the page's own form."""
    form = _form(call, params.auth_type)
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
        form = _form(call, params.auth_type, escape(error.message))
        return _page(call, form, status=error.status)
    return _page(call, DONE)


def _form(call: Call, auth_type: str, message: str = "") -> str:
    """The form of a stage; raises NotFound for a stage that has none: it asks one user, not known here."""
    registration = call.services.server.config.registration
    if auth_type == DUMMY:
        field = ""
    elif auth_type == REGISTRATION_TOKEN:
        field = TOKEN_FIELD
    elif auth_type == TERMS and registration.terms:
        documents = "".join(
            f'<li><a href="{escape(item.url)}" target="_blank">{escape(item.name)}</a></li>'
            for item in registration.terms
        )
        field = f"<p>By continuing you accept:</p><ul>{documents}</ul>"
    elif auth_type == RECAPTCHA and registration.captcha.public_key:
        captcha = registration.captcha
        field = (
            f'<script src="{escape(captcha.script_url)}" async defer></script>'
            f'<div class="g-recaptcha" data-sitekey="{escape(captcha.public_key)}"></div>'
        )
    else:
        raise NotFound("There is no page for that type of authentication")
    return FORM.format(message=message, field=field)


def _page(call: Call, body: str, *, status: int = 200) -> Reply:
    policy = "form-action 'self'; script-src 'unsafe-inline'"
    captcha = call.services.server.config.registration.captcha
    if captcha.public_key and "g-recaptcha" in body:
        origins = f"{_origin(captcha.script_url)} https://www.gstatic.com"
        policy += f" {origins}; frame-src {origins}; style-src 'unsafe-inline'"
    return page("Authentication", body, policy=policy, status=status)


def _origin(url: str) -> str:
    """Scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
