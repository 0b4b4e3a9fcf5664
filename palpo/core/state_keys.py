"""The state that the server itself looks at, by event type and state key."""

from __future__ import annotations

from typing import Final

from palpo.core.events import StateKey

MEMBER: Final = "m.room.member"
"""The type; the state key is the user's ID."""
CREATE: Final[StateKey] = ("m.room.create", "")
POWER_LEVELS: Final[StateKey] = ("m.room.power_levels", "")
JOIN_RULES: Final[StateKey] = ("m.room.join_rules", "")
HISTORY_VISIBILITY: Final[StateKey] = ("m.room.history_visibility", "")
GUEST_ACCESS: Final[StateKey] = ("m.room.guest_access", "")
NAME: Final[StateKey] = ("m.room.name", "")
AVATAR: Final[StateKey] = ("m.room.avatar", "")
TOPIC: Final[StateKey] = ("m.room.topic", "")
CANONICAL_ALIAS: Final[StateKey] = ("m.room.canonical_alias", "")
ENCRYPTION: Final[StateKey] = ("m.room.encryption", "")
SERVER_ACL: Final[StateKey] = ("m.room.server_acl", "")
POLICY: Final[StateKey] = ("m.room.policy", "")
UNSTABLE_POLICY: Final[StateKey] = ("org.matrix.msc4284.policy", "")

FIXED: Final = frozenset(
    (
        CREATE,
        POWER_LEVELS,
        JOIN_RULES,
        HISTORY_VISIBILITY,
        GUEST_ACCESS,
        ENCRYPTION,
        NAME,
        TOPIC,
        AVATAR,
        CANONICAL_ALIAS,
        SERVER_ACL,
        POLICY,
        UNSTABLE_POLICY,
    )
)
"""State that every room may have once."""
