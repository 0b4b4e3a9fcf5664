"""Power levels: who may do what in a room (spec: ``m.room.power_levels``, and each room version's rules).

Levels are plain integers. A creator of a room version with privileged creators stands above every
integer that canonical JSON can carry, as ``CREATOR``.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final

import msgspec

from palpo.core.errors import AuthError
from palpo.core.events import Event
from palpo.core.identifiers import is_user_id
from palpo.core.room_versions import RoomVersion

CREATOR: Final = 2**63 - 1
"""The infinite level of a privileged creator: more than any level an event can state."""

LEVEL_PROPERTIES: Final = (
    "users_default",
    "events_default",
    "state_default",
    "ban",
    "redact",
    "kick",
    "invite",
)
"""The properties of the content that are levels themselves."""

_EMPTY: Final[dict[str, Any]] = {}
_INTEGER_TEXT = re.compile(r"\s*([+-]?)0*([0-9]{1,309})\s*", re.ASCII)
_MAX_DOUBLE: Final = int(1.7976931348623157e308)


def read_level(rules: RoomVersion, value: object) -> int | None:
    """The level that a JSON value states in this room version, or ``None`` where it states none.

    Before integers were demanded, strings of digits and (where canonical JSON was not strict) floats
    count too; floats are cut off at the decimal point (spec: rooms/v1, "Deprecated event content").
    """
    if type(value) is int:
        return value if rules.strict_canonical_json or abs(value) <= _MAX_DOUBLE else None
    if rules.integer_power_levels:
        return None
    if type(value) is str:
        match = _INTEGER_TEXT.fullmatch(value)
        return int(match[1] + match[2]) if match else None
    if type(value) is float and not rules.strict_canonical_json:
        return int(value) if math.isfinite(value) else None
    return None


def creators(rules: RoomVersion, create: Event | None) -> frozenset[str]:
    """The room's creators: in privileged versions with ``additional_creators``, else the one creator."""
    if create is None:
        return frozenset()
    if rules.privileged_creators:
        more = create.content.get("additional_creators")
        extra = [user for user in more if isinstance(user, str)] if isinstance(more, list) else []
        return frozenset((create.sender, *extra))
    if rules.implicit_room_creator:
        return frozenset((create.sender,))
    creator = create.content.get("creator")
    return frozenset((creator,)) if isinstance(creator, str) else frozenset()


class PowerLevels(msgspec.Struct, frozen=True, gc=False):
    """The levels in force at one point of a room; cheap to make, reads the event's content as needed."""

    rules: RoomVersion
    content: dict[str, Any]
    """Content of the ``m.room.power_levels`` event; empty where the room has none."""
    users: dict[str, Any]
    events: dict[str, Any]
    infinite: frozenset[str]
    """Privileged creators."""
    sole_creator: str | None
    """Who has level 100 because the room has no ``m.room.power_levels`` event yet."""

    @classmethod
    def from_state(cls, rules: RoomVersion, create: Event | None, power_levels: Event | None) -> PowerLevels:
        """The levels that these two events of a room's state make; either may be absent."""
        infinite: frozenset[str] = frozenset()
        sole_creator = None
        if rules.privileged_creators:
            infinite = creators(rules, create)
        elif power_levels is None:
            sole_creator = next(iter(creators(rules, create)), None)
        content = _EMPTY if power_levels is None else power_levels.content
        return cls(
            rules, content, _table(content, "users"), _table(content, "events"), infinite, sole_creator
        )

    def user(self, user_id: str) -> int:
        """The user's level; ``CREATOR`` for a privileged creator."""
        if user_id in self.infinite:
            return CREATOR
        level = read_level(self.rules, self.users.get(user_id))
        if level is not None:
            return level
        return 100 if user_id == self.sole_creator else self._named("users_default", 0)

    def event(self, event_type: str, is_state: bool) -> int:
        """The level needed to send an event of this type."""
        level = read_level(self.rules, self.events.get(event_type))
        if level is not None:
            return level
        return self._named("state_default", 50) if is_state else self._named("events_default", 0)

    def notification(self, key: str) -> int:
        """The level needed to trigger a notification of this kind, such as ``room``."""
        level = read_level(self.rules, _table(self.content, "notifications").get(key))
        return 50 if level is None else level

    @property
    def invite(self) -> int:
        """The level needed to invite."""
        return self._named("invite", 0)

    @property
    def kick(self) -> int:
        """The level needed to kick."""
        return self._named("kick", 50)

    @property
    def ban(self) -> int:
        """The level needed to ban."""
        return self._named("ban", 50)

    @property
    def redact(self) -> int:
        """The level needed to redact what others sent."""
        return self._named("redact", 50)

    def _named(self, key: str, default: int) -> int:
        level = read_level(self.rules, self.content.get(key))
        return default if level is None else level


def validate_power_levels(rules: RoomVersion, create: Event | None, content: dict[str, Any]) -> None:
    """Check the shape of an ``m.room.power_levels`` event's content.

    Raises ``AuthError`` with status 400 and ``M_BAD_JSON``: to the rules it is a rejection like any
    other, and a client that sends it learns that the content is at fault, not its permissions.
    """
    if rules.integer_power_levels:
        _validate_integers(content)
    users = content.get("users", _EMPTY)
    if not isinstance(users, dict):
        raise malformed("users is not an object")
    for user_id, value in users.items():
        if not is_user_id(user_id):
            raise malformed(f"{user_id[:255]!r} in users is not a user ID")
        if read_level(rules, value) is None:
            raise malformed(f"The level of {user_id} is not an integer")
    if rules.privileged_creators and not creators(rules, create).isdisjoint(users):
        raise malformed("users may not list a creator of the room")


def malformed(message: str) -> AuthError:
    """A rejection for the shape of an event's content."""
    return AuthError(message, status=400, errcode="M_BAD_JSON")


def check_power_levels_change(levels: PowerLevels, sender: str, content: dict[str, Any]) -> None:
    """Check that ``sender`` may replace the power levels in force by ``content``; raises ``AuthError``.

    A property that is absent, or states no level, is neither a current nor a new value.
    """
    own = levels.user(sender)
    rules = levels.rules
    for key in LEVEL_PROPERTIES:
        old, new = read_level(rules, levels.content.get(key)), read_level(rules, content.get(key))
        _check_entry(own, key, old, new)
    tables = ("events", "notifications") if rules.limit_notifications_power_levels else ("events",)
    for table in tables:
        for key, old, new in _changes(rules, levels.content, content, table):
            _check_entry(own, f"{table}.{key}", old, new)
    for user_id, old, new in _changes(rules, levels.content, content, "users"):
        if user_id != sender and old is not None and old >= own:
            raise AuthError(f"You may not change the level of {user_id}, which is not below yours")
        if new is not None and new > own:
            raise AuthError(f"You may not give {user_id} a level above yours")


def _validate_integers(content: dict[str, Any]) -> None:
    for key in LEVEL_PROPERTIES:
        if key in content and type(content[key]) is not int:
            raise malformed(f"{key} is not an integer")
    for table in ("events", "notifications"):
        entries = content.get(table, _EMPTY)
        if not isinstance(entries, dict):
            raise malformed(f"{table} is not an object")
        if any(type(value) is not int for value in entries.values()):
            raise malformed(f"A level in {table} is not an integer")


def _check_entry(own: int, name: str, old: int | None, new: int | None) -> None:
    """Refuse to touch a level above one's own, and to set one."""
    if old == new:
        return
    if old is not None and old > own:
        raise AuthError(f"You may not change {name}, which is above your level")
    if new is not None and new > own:
        raise AuthError(f"You may not set {name} above your level")


def _changes(
    rules: RoomVersion, old: dict[str, Any], new: dict[str, Any], table: str
) -> list[tuple[str, int | None, int | None]]:
    """The entries of a table that were added, changed or removed: key, current level, new level."""
    before, after = _table(old, table), _table(new, table)
    pairs = (
        (key, read_level(rules, before.get(key)), read_level(rules, after.get(key)))
        for key in {**before, **after}
    )
    return [(key, was, will) for key, was, will in pairs if was != will]


def _table(content: dict[str, Any], key: str) -> dict[str, Any]:
    """An object in the content; the empty one where it is absent or something else."""
    table = content.get(key)
    return table if type(table) is dict else _EMPTY
