"""The browser that asks for a page: who is signed in with it, its cookies, and the forms that it sends.

A view for whoever is signed in::

    @blueprint.serves(wire.get_something)
    async def get_something(call: Call, params: NoParams) -> str:
        browser = await signed_in(call)

A form has ``{{ csrf() }}`` in it, and its view is registered by ``@blueprint.form``: before that is called,
what the form carries is held to the browser's session, or, where nobody is signed in, to a cookie that the
browser was given with the page. So no other site can send a form in a user's name, nor sign a browser in as
somebody else.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import cast
from urllib.parse import urlencode, urlsplit

from markupsafe import Markup
from quart import g, request
from quart.typing import ResponseTypes

from palpo.api.call import Call
from palpo.api.forms import form_fields
from palpo.core.errors import Forbidden
from palpo.core.identifiers import UserId
from palpo.core.records.browser_sessions import BrowserSession
from palpo.wire.pages.sign_in import LOGIN_PATH

HOME = "/_palpo/account/"
SESSION, VISIT = "palpo_session", "palpo_visit"
"""Cookies: of who is signed in, and of who is not."""
LOCAL = ("/_palpo/", "/_matrix/")
"""Where a browser may be sent on to."""


class SeeOther(Exception):
    """The browser is sent elsewhere: whoever catches it answers 303."""

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.location = location


Form = Mapping[str, str]
"""The fields of a form; of one that is repeated, the last."""


async def visitor(call: Call) -> BrowserSession | None:
    """Who is signed in with the browser, if anybody is."""
    if "visitor" not in g:
        token = cookie(call, SESSION)
        g.visitor = await call.services.accounts.browser_sessions.find(token) if token else None
    return cast(BrowserSession | None, g.visitor)


async def signed_in(call: Call) -> BrowserSession:
    """Who is signed in; where nobody is, the browser is sent to sign in, and then comes back."""
    browser = await visitor(call)
    if browser is None:
        raise SeeOther(sign_in_path(here(call)))
    return browser


async def signed_in_lately(call: Call) -> BrowserSession:
    """As ``signed_in``, for what must be sure to be the user's: who did so long ago does so again."""
    browser = await signed_in(call)
    if not call.services.accounts.browser_sessions.is_recent(browser):
        raise SeeOther(sign_in_path(here(call), again="true"))
    return browser


async def sign_in(call: Call, user_id: UserId) -> str:
    """Begin a session for who has proved to be ``user_id``: its token. Raises as ``begin``."""
    sessions = call.services.accounts.browser_sessions
    token = await sessions.begin(
        user_id,
        address=call.client_address,
        user_agent=call.user_agent,
        instead_of=cookie(call, SESSION),
    )
    set_cookie(call, SESSION, token, max_age=sessions.lifetime_s)
    set_cookie(call, VISIT, None)
    g.pop("visitor", None)
    return token


def sign_in_path(then: str, **params: str) -> str:
    """Where to sign in, and then go on to ``then``."""
    return f"{LOGIN_PATH}?{urlencode({'next': then, **params})}"


def here(call: Call) -> str:
    """The path and query of the page that is asked for."""
    return f"{call.raw_path}?{call.query}" if call.query else call.raw_path


def safe_path(path: str) -> str:
    """``path`` where it is one of this server's own pages, else that of the account.

    What browsers take for another server's address is none: ``//other``, ``/\\other``, tabs and line feeds.
    """
    plain = all(" " < letter < "\x7f" and letter != "\\" for letter in path)
    if not plain or not path.startswith(LOCAL):
        return HOME
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or "/../" in f"{parts.path}/" or "//" in parts.path:
        return HOME
    return path


def cookie(call: Call, name: str) -> str | None:
    """What the browser has kept under a name; of several, the one that it sends last.

    That is the one of the shortest path, as all of ours are. Cookies of whatever else is served at this host
    come along, in any form at all: each is read by itself. By HTTP/2 they come in lines of their own.
    """
    called, value = _called(call, name), None
    for pair in call.cookies.split(";"):
        key, equals, said = pair.partition("=")
        if equals and key.strip() == called:
            value = said.strip()
    return value


def set_cookie(call: Call, name: str, value: str | None, *, max_age: int | None = None) -> None:
    """Have the browser keep ``value`` for ``max_age`` seconds, or until it is closed; None: forget it.

    No script can read it, and no other site's form carries it.
    """
    if value is None and cookie(call, name) is None:
        return
    parts = [f"{_called(call, name)}={value or ''}", "Path=/", "HttpOnly", "SameSite=Lax"]
    if value is None or max_age is not None:
        parts.append(f"Max-Age={0 if value is None else max_age}")
    if is_secure(call):
        parts.append("Secure")
    g.setdefault("cookies", {})[name] = "; ".join(parts)


async def send_cookies(response: ResponseTypes) -> ResponseTypes:
    """Put the cookies that were set on the answer."""
    for line in g.get("cookies", {}).values():
        response.headers.add("Set-Cookie", line)
    return response


def is_secure(call: Call) -> bool:
    """Whether browsers reach this server by https, so that cookies never go another way."""
    return call.services.server.config.public_url.startswith("https://")


def _called(call: Call, name: str) -> str:
    return f"__Host-{name}" if is_secure(call) else name


async def csrf_token(call: Call) -> str:
    """What a form of this browser carries."""
    return _mac(call, await _bound_to(call, make=True))


def csrf_field(token: str) -> Markup:
    """The field of a form for it."""
    return Markup('<input type="hidden" name="csrf" value="{}">').format(token)


async def read_form(call: Call) -> Form:
    """The fields of a form that this browser was given; raises BadRequest, and Forbidden for any other."""
    fields = form_fields(call)
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("The form was sent by another site")
    expected = _mac(call, await _bound_to(call, make=False))
    if not hmac.compare_digest(fields.get("csrf", "").encode(), expected.encode()):
        raise Forbidden(
            "The page was open for too long, or cookies are not allowed. Please go back and try again."
        )
    return fields


async def _bound_to(call: Call, *, make: bool) -> str:
    """What forms of this browser are bound to; of one that has nothing, nothing that anybody could know."""
    browser = await visitor(call)
    if browser is not None:
        return f"session {browser.session_id}"
    visit = cookie(call, VISIT)
    if not visit:
        visit = g.get("visit") or secrets.token_urlsafe(16)
        if make:
            g.visit = visit
            set_cookie(call, VISIT, visit)
    return f"visit {visit}"


def _mac(call: Call, bound_to: str) -> str:
    key = hashlib.blake2b(call.services.server.key.seed, person=b"palpo-csrf").digest()
    return hmac.new(key, bound_to.encode("utf-8", "replace"), hashlib.sha256).hexdigest()
