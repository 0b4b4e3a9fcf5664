"""How values are shown: times, sizes, numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup, escape


def minute(ms: int) -> str:
    """A time, in UTC; ``ms`` since the Unix epoch."""
    return _time(ms).strftime("%Y-%m-%d %H:%M")


def iso(ms: int) -> str:
    """The same for programs."""
    return _time(ms).isoformat()


def size(count: float) -> str:
    """Bytes, with the unit that suits."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def number(count: float) -> str:
    """A whole number, in groups of three digits."""
    return f"{count:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def span(seconds: float) -> str:
    """How long something has taken."""
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // (24 * 60)} days"


def prose(text: str) -> Markup:
    """A description, with what is between backticks as code."""
    parts = str(escape(text)).split("`")
    if len(parts) % 2 == 0:  # One of them has no other.
        return escape(text)
    return Markup("".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts)))


def _time(ms: int) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.fromtimestamp(0, UTC)


FILTERS: dict[str, Callable[..., Any]] = {
    "minute": minute,
    "iso": iso,
    "size": size,
    "number": number,
    "span": span,
    "prose": prose,
}
"""What templates call them."""
