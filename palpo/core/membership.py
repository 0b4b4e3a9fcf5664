"""Membership of rooms (spec: client-server API, "Room membership")."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from palpo.core.events import Event


class Membership(StrEnum):
    """What a user is to a room."""

    INVITE = "invite"
    JOIN = "join"
    KNOCK = "knock"
    LEAVE = "leave"
    """Also after a kick, a rejected invite, or a ban that was lifted."""
    BAN = "ban"


MAX_NAME: Final = 1024
"""Bytes of what a user is called that count."""
INVITE, JOIN, KNOCK, LEAVE, BAN = Membership
_BY_VALUE = {item.value: item for item in Membership}


def as_membership(value: object) -> Membership | None:
    """``value`` as a membership; None where it is none."""
    return _BY_VALUE.get(value) if isinstance(value, str) else None


def called(content: Mapping[str, Any]) -> dict[str, str]:
    """What the content of a membership event says that the user is called, and what they look like."""
    given = {name: content.get(name) for name in ("displayname", "avatar_url")}
    return {
        name: value
        for name, value in given.items()
        if isinstance(value, str) and len(value.encode(errors="replace")) <= MAX_NAME
    }


def membership_of(event: Event | None) -> Membership | None:
    """What a membership event says, if it is there and says anything."""
    return None if event is None else as_membership(event.content.get("membership"))
