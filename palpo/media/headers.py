"""The HTTP headers that media go out with (spec: "Content repository", "Serving inline content")."""

from __future__ import annotations

import re
from urllib.parse import quote

INLINE_TYPES = frozenset(
    {
        "text/css",
        "text/plain",
        "text/csv",
        "application/json",
        "application/ld+json",
        "image/jpeg",
        "image/gif",
        "image/png",
        "image/apng",
        "image/webp",
        "image/avif",
        "video/mp4",
        "video/webm",
        "video/ogg",
        "video/quicktime",
        "audio/mp4",
        "audio/webm",
        "audio/aac",
        "audio/mpeg",
        "audio/ogg",
        "audio/wave",
        "audio/wav",
        "audio/x-wav",
        "audio/x-pn-wav",
        "audio/flac",
        "audio/x-flac",
    }
)
"""Types that a browser renders as nothing else."""

SECURITY = {
    "Content-Security-Policy": (
        "sandbox; default-src 'none'; script-src 'none'; plugin-types application/pdf; "
        "style-src 'unsafe-inline'; object-src 'self';"
    ),
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}
DEFAULT_TYPE = "application/octet-stream"
MAX_TYPE = 255
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:\s*;[\t\x20-\x7e]*)?")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


def checked_type(content_type: str | None) -> str:
    """A content type as it was given, or ``application/octet-stream`` where it is none."""
    text = (content_type or "").strip()
    return text if len(text) <= MAX_TYPE and _TYPE.fullmatch(text) else DEFAULT_TYPE


def disposition(content_type: str, filename: str | None) -> str:
    """``Content-Disposition``: inline for the safe types, attachment for all others."""
    kind = "inline" if content_type.partition(";")[0].strip().lower() in INLINE_TYPES else "attachment"
    if not filename:
        return kind
    if filename.isascii() and filename.isprintable():
        escaped = filename.replace("\\", "\\\\").replace('"', '\\"')
        return f'{kind}; filename="{escaped}"'
    return f"{kind}; filename*=UTF-8''{quote(filename, safe='', errors='replace')}"


class Unsatisfiable(Exception):
    """The range begins behind the end."""


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last that a ``Range`` header asks for (RFC 9110, 14.2).

    None where it asks for everything, for several ranges, or for what is not understood. Raises
    Unsatisfiable.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group() == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1 if last else size)
        if last and int(last) < start:
            return None
    if start >= stop:
        raise Unsatisfiable
    return start, stop
