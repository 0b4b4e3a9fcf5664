"""The clients that wait for a login token, by the URLs at which they do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit

from palpo.core.errors import InvalidParam

MAX_URL = 2000
"""Characters."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_SCRIPTS = frozenset({"javascript", "data", "vbscript", "blob", "file", "about", "view-source"})
"""What is no address to go to, but something for this server's page to do."""
_DOTS = re.compile(r"(^|/)(\.|%2e){1,2}(/|$)", re.IGNORECASE)


def check_redirect_url(url: str) -> str:
    """``url``, where a login token could be sent; raises InvalidParam.

    What Python and browsers do not read alike, such as a backslash, is refused.
    """
    if len(url) > MAX_URL or _URL.fullmatch(url) is None:
        raise InvalidParam("redirectUrl is no URL")
    parts = _split(url)
    if parts is None or parts.scheme in _SCRIPTS or parts.username is not None:
        raise InvalidParam("redirectUrl is no URL to go to")
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise InvalidParam("redirectUrl has no host")
    return url


def is_listed(url: str, listed: Iterable[str]) -> bool:
    """Whether a checked URL begins as one of ``listed``: the same scheme, host and port, and path."""
    parts = _split(url)
    if parts is None or _DOTS.search(parts.path):
        return False
    return any(_begins(parts, known) for known in map(_split, listed) if known is not None)


def with_login_token(url: str, token: str) -> str:
    """``url`` with the token in its query, in place of any that it has."""
    parts = _split(url)
    assert parts is not None
    kept = [item for item in parts.query.split("&") if item and item.partition("=")[0] != "loginToken"]
    return parts._replace(query="&".join([*kept, f"loginToken={token}"])).geturl()


def shown(url: str) -> str:
    """What a user is told of where a URL leads."""
    parts = _split(url)
    assert parts is not None
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def scheme_of(url: str) -> str:
    """The URL's scheme, in lower case."""
    return url.partition(":")[0].lower()


def _begins(url: SplitResult, known: SplitResult) -> bool:
    if (url.scheme, url.hostname, _port(url)) != (known.scheme, known.hostname, _port(known)):
        return False
    below = known.path.rstrip("/")
    return url.path == below or url.path.startswith(f"{below}/") or not known.path


def _port(parts: SplitResult) -> int | None:
    return parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
