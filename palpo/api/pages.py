"""Pages for browsers, and the headers that keep them from being framed, sniffed or told on."""

from __future__ import annotations

from palpo.api.call import Reply

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>{body}</body>
</html>
"""
NOTHING_ELSE = "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
"""What every page's policy begins with: nothing is loaded, nobody frames it."""


def page(title: str, body: str, *, policy: str = "", status: int = 200) -> Reply:
    """A page with ``body`` (HTML); ``policy`` are the further directives of Content-Security-Policy it needs.

    No page may be shown in a frame: a frame's site could have a visitor click what they do not see.
    """
    headers = {
        "Content-Security-Policy": f"{NOTHING_ELSE}; {policy}" if policy else NOTHING_ELSE,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    text = PAGE.format(title=title, body=body).encode()
    return Reply(body=text, status=status, content_type="text/html; charset=utf-8", headers=headers)
