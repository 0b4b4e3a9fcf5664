"""Small questions about the room's state at an event, answered from memory where they can be.

Two neighbouring events have the same state between them: what is known after one is known before the
next, whichever way a batch runs, so a batch costs one look-up and not one an event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from palpo.core.events import StateKey
from palpo.core.membership import LEAVE, membership_of
from palpo.core.records.events import StoredEvent
from palpo.core.state_keys import HISTORY_VISIBILITY, MEMBER
from palpo.core.visibility import visibility_of
from palpo.services.history.event_store import EventStore
from palpo.streams.caches import Cache, CacheBudget

NEVER: Final = LEAVE
"""The membership of who has none (spec: client-server API, ``unsigned.membership``)."""

Pair = tuple[str, str]
"""A value before an event and after it."""


class StateAt:
    """History visibility and single memberships, by state root."""

    def __init__(self, store: EventStore, caches: CacheBudget) -> None:
        self._store = store
        self._values: Cache[tuple[bytes, str], str] = caches.cache("state_values", _value_bytes)

    async def memberships(self, events: Sequence[StoredEvent], user_id: str) -> list[Pair]:
        """The user's membership before and after each event."""
        return await self._values_around(events, (MEMBER, user_id))

    async def visibilities(self, events: Sequence[StoredEvent]) -> list[Pair]:
        """The room's history visibility before and after each event."""
        return await self._values_around(events, HISTORY_VISIBILITY)

    async def membership(self, root: bytes, user_id: str) -> str:
        """The user's membership in the state ``root``."""
        return await self._value(root, (MEMBER, user_id))

    async def visibility(self, root: bytes) -> str:
        """The history visibility in the state ``root``."""
        return await self._value(root, HISTORY_VISIBILITY)

    async def _values_around(self, events: Sequence[StoredEvent], key: StateKey) -> list[Pair]:
        known: dict[bytes, str] = {}
        pairs: list[Pair] = []
        type_, state_key = key
        last: bytes | None = None
        for item in events:
            event = item.event
            before, after = item.state_before, item.state_after
            if before == after == last:
                pairs.append(pairs[-1])
                continue
            if before == after or event.type != type_ or event.state_key != state_key:
                value = known.get(after) or known.get(before) or self._values.touch((before, state_key))
                if value is None:
                    value = await self._value(before, key)
                known[before] = known[after] = value
                pairs.append((value, value))
                last = after
                continue
            old = known.get(before)
            if old is None:
                old = known[before] = await self._value(before, key)
            new = known[after] = _read(item, key)
            pairs.append((old, new))
        return pairs

    async def _value(self, root: bytes, key: StateKey) -> str:
        name = (root, key[1])
        value = self._values.touch(name)
        if value is None:
            value = _read(await self._store.state_event(root, *key), key)
            self._values.keep({name: value})
        return value


def _value_bytes(name: tuple[bytes, str], value: str) -> int:
    return 56 + 49 + 49 + len(name[1]) + 55


def _read(item: StoredEvent | None, key: StateKey) -> str:
    event = None if item is None else item.event
    return visibility_of(event) if key == HISTORY_VISIBILITY else membership_of(event) or NEVER
