"""What people type and read: sizes, times, user IDs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from palpo.core.errors import InvalidParam, NotFound
from palpo.core.identifiers import UserId
from palpo.core.records.accounts import Account

if TYPE_CHECKING:
    from palpo.api.services import Services

_SPAN = re.compile(r"([0-9]+(?:\.[0-9]+)?)([smhdw]?)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400, "": 86_400}
MAX_SPAN_MS = 36_500 * 86_400_000
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def printable(text: str) -> str:
    """``text`` with nothing in it that a terminal obeys."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def minute(ts: int | None) -> str:
    """A time in milliseconds since the Unix epoch, in UTC; others may claim any."""
    try:
        return datetime.fromtimestamp((ts or 0) / 1000, UTC).isoformat(timespec="minutes")
    except (OverflowError, ValueError, OSError):
        return f"{ts} ms"


def size(count: int) -> str:
    """A number of bytes, as ``3.5 GiB``."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if unit == 0 else f"{value:.1f} {UNITS[unit]}"


def span_ms(text: str) -> int:
    """The milliseconds of ``90d``, ``12h``, ``30m``; a number alone is of days. Raises InvalidParam."""
    found = _SPAN.fullmatch(text)
    ms = int(float(found[1]) * _SECONDS[found[2]] * 1000) if found else 0
    if not 0 < ms <= MAX_SPAN_MS:
        raise InvalidParam(f"{text!r} is no length of time, such as 90d, 12h or 30m")
    return ms


def table(rows: Iterable[Sequence[str]], *, empty: str) -> str:
    """Rows with their columns one below the other, and ``empty`` where there are none."""
    lines = [[printable(cell) for cell in row] for row in rows]
    if not lines:
        return empty
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def localpart(services: Services, name: str) -> str:
    """What is before the colon of a user ID, or ``name`` itself; raises InvalidParam for other servers'."""
    if not name.startswith("@"):
        return name
    local, _, server = name[1:].partition(":")
    own = services.server.config.server_name
    if server not in ("", own):
        raise InvalidParam(f"{name} is not of this server, the users of which are @…:{own}")
    return local


async def account_of(services: Services, name: str, *, deactivated: bool = False) -> Account:
    """The account of a localpart or user ID; raises NotFound where there is none.

    One that was deactivated counts only where that is said.
    """
    account = await services.accounts.logins.find(localpart(services, name))
    if account is None or (account.deactivated and not deactivated):
        raise NotFound(f"There is no user {name!r}")
    return account


async def user_id_of(services: Services, name: str) -> UserId:
    """The user ID of that account; raises NotFound."""
    return (await account_of(services, name)).user_id
