"""The headers of every page: nobody frames it, and it loads nothing but what is its own.

A page's own style and script are in the page, marked with a nonce that is new in each answer. So a page is
one request, and works where a proxy hands on the paths of Matrix alone.
"""

from __future__ import annotations

import secrets

from quart import g
from quart.typing import ResponseTypes

HEADERS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def nonce() -> str:
    """What marks the page's own style and script."""
    if "nonce" not in g:
        g.nonce = secrets.token_urlsafe(16)
    return str(g.nonce)


def own() -> str:
    """The page's own style and script, as a policy names them."""
    return f"'nonce-{nonce()}'"


def allow(**directives: str) -> None:
    """Set directives of the page's Content-Security-Policy: ``allow(connect_src="'self'")``.

    Nothing is allowed that is not set, but the page's own style and script.
    """
    g.setdefault("allowed", {}).update({name.replace("_", "-"): value for name, value in directives.items()})


async def secure(response: ResponseTypes) -> ResponseTypes:
    """Give a page its headers; a frame's site could have a visitor click what they do not see."""
    if response.mimetype == "text/html":
        response.headers.update(HEADERS)
        response.headers["Content-Security-Policy"] = _policy()
    return response


def _policy() -> str:
    directives = {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "style-src": own(),
        "script-src": own(),
        **g.get("allowed", {}),
    }
    return "; ".join(f"{name} {value}" for name, value in directives.items())
