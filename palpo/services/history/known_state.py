"""What has been looked up of a state: the event IDs at the keys that are asked for all the time."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from palpo.core.events import StateKey
from palpo.core.state_keys import FIXED

MAX_KEYS = 256
"""Keys of a state that are known, those of the members who are heard of most among them."""
KEY_BYTES = 250
"""What one takes beside its strings: the tuple, the ID, their place in a mapping."""


class KnownState(msgspec.Struct, frozen=True):
    """A part of one state. It never changes, and what it says is true for ever."""

    ids: Mapping[StateKey, str | None] = {}
    """Key → event ID, None where nothing is set; what was added last is last."""
    bytes: int = 0
    """What they take."""

    def including(self, found: Mapping[StateKey, str | None]) -> KnownState:
        """The same, and what has been looked up, or is set instead: of all that, the newest MAX_KEYS."""
        ids, size = dict(self.ids), self.bytes
        for key, event_id in found.items():
            if key in ids:
                del ids[key]
                size -= _key_bytes(key)
            # What else is not set is looked up each time: anybody may name any.
            if event_id is not None or key in FIXED:
                ids[key] = event_id
                size += _key_bytes(key)
        if len(ids) > MAX_KEYS:
            others = [key for key in ids if key not in FIXED]
            for key in others[: len(ids) - MAX_KEYS * 7 // 8]:
                del ids[key]
                size -= _key_bytes(key)
        return KnownState(ids, size)


NOTHING = KnownState()
UNKNOWN = ""
"""Instead of the event ID at a key that has not been looked up."""


def _key_bytes(key: StateKey) -> int:
    return KEY_BYTES + len(key[0]) + len(key[1])
