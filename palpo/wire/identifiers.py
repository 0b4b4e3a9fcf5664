"""Parameters and bodies hold their identifiers to the grammar (spec: appendices, "Identifier Grammar").

The type of a field says which of them it is: ``RoomId``, ``UserId | None``, ``RoomId | RoomAlias``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, get_type_hints

import msgspec

from palpo.core import identifiers as ids

Parser = Callable[[str], str]
_ALWAYS: Mapping[Any, Parser] = {
    ids.EventId: ids.parse_event_id,
    ids.RoomAlias: ids.parse_room_alias,
    ids.RoomId: ids.parse_room_id,
    ids.RoomId | ids.RoomAlias: ids.parse_room_id_or_alias,
    ids.UserId: ids.parse_user_id,
}
PARSERS: Mapping[Any, Parser] = {**_ALWAYS, **{kind | None: parse for kind, parse in _ALWAYS.items()}}


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Making one raises InvalidParam where an identifier is none."""

    def __post_init__(self) -> None:
        """Look at each field whose type is an identifier's."""
        for name, parse in _parsers(type(self)):
            value = getattr(self, name)
            if value is not None:
                parse(value)


@cache
def _parsers(struct: type[Checked]) -> tuple[tuple[str, Parser], ...]:
    hints = get_type_hints(struct)
    return tuple((name, PARSERS[hint]) for name, hint in hints.items() if hint in PARSERS)
