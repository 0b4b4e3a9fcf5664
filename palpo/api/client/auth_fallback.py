"""Pages that complete a stage of user-interactive auth in a browser."""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs

from palpo.api.call import Call, Handlers, Reply
from palpo.core.errors import BadRequest, MatrixError, NotFound
from palpo.services.user_interactive_auth import DUMMY, REGISTRATION_TOKEN
from palpo.wire.client import auth_fallback as wire
from palpo.wire.endpoint import NoBody, Stream

handlers = Handlers()

FIELDS = {
    DUMMY: "",
    REGISTRATION_TOKEN: '<label>Registration token <input name="token" maxlength="64" required></label>',
}
"""What each stage asks for; the stages that are not here ask it of one user, who is not known here."""

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Authentication</title>
</head>
<body>{body}</body>
</html>
"""
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
    return _page(_form(params.auth_type))


@handlers.serves(wire.post_auth_fallback)
async def post_auth_fallback(call: Call, params: wire.FallbackParams, body: NoBody) -> Stream | Reply:
    """POST /auth/{type}/fallback/web: the page's own form."""
    form = _form(params.auth_type)
    try:
        fields = parse_qs(call.body.decode(), max_num_fields=10)
    except ValueError:
        raise BadRequest("Not a form") from None
    auth = {name: values[-1] for name, values in fields.items()}
    try:
        await call.services.interactive_auth.complete_elsewhere(params.session, params.auth_type, auth)
    except MatrixError as error:
        form = FORM.format(message=escape(error.message), field=FIELDS[params.auth_type])
        return _page(form, status=error.status)
    return _page(DONE)


def _form(auth_type: str) -> str:
    """The form of a stage; raises NotFound for a stage that has none."""
    field = FIELDS.get(auth_type)
    if field is None:
        raise NotFound("There is no page for that type of authentication")
    return FORM.format(message="", field=field)


def _page(body: str, *, status: int = 200) -> Reply:
    headers = {
        "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; form-action 'self'",
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
    }
    page = PAGE.format(body=body).encode()
    return Reply(body=page, status=status, content_type="text/html; charset=utf-8", headers=headers)
