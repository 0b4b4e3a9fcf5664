"""What filters ask about a room, read from its state or from what an invite shows of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from palpo.core.errors import MatrixError
from palpo.core.membership import INVITE, JOIN, KNOCK
from palpo.core.state_keys import CREATE, ENCRYPTION
from palpo.core.state_tree import EMPTY_ROOT
from palpo.services.history.event_store import EventStore
from palpo.services.history.room_heads import RoomHeads
from palpo.storage.memberships import Member
from palpo.streams import topics
from palpo.streams.caches import Cache, CacheBudget
from palpo.streams.wakeups import Wakeups
from palpo.sync.sliding.listing import UNKNOWN, RoomFacts

SPACE_CHILD = "m.space.child"


class Facts:
    """Reads facts, and keeps them by the state that they were read from, until something is redacted."""

    def __init__(self, store: EventStore, heads: RoomHeads, wakeups: Wakeups, caches: CacheBudget) -> None:
        self._store = store
        self._heads = heads
        self._cache: Cache[bytes, RoomFacts] = caches.cache("room_facts")
        wakeups.listen(topics.REDACTED, lambda room_ids, position: self._cache.clear())

    async def get(self, row: Member) -> RoomFacts:
        """The facts of a room as far as the user may know them."""
        if row.membership in (INVITE, KNOCK):
            return _of_stripped(row.stripped_state)
        root = await self.root(row)
        return await self._cache.get_or_read(root, lambda: self._read(root))

    async def _read(self, root: bytes) -> RoomFacts:
        state = await self._store.state_events(root, (CREATE, ENCRYPTION))
        create = state.get(CREATE)
        type_ = None if create is None else create.event.content.get("type")
        return RoomFacts(encrypted=ENCRYPTION in state, type=type_ if isinstance(type_, str) else None)

    async def root(self, row: Member) -> bytes:
        """The state of a room: the current one, or the one that the user left behind."""
        try:
            if row.membership is JOIN:
                return (await self._heads.get(row.room_id)).state_root
            return (await self._store.get(row.event_id)).state_after
        except MatrixError:
            return EMPTY_ROOT

    async def children(self, spaces: Iterable[Member]) -> frozenset[str]:
        """The rooms that these spaces list (spec: "m.space.child": with ``via``)."""
        found: set[str] = set()
        for space in spaces:
            state = await self._store.full_state(await self.root(space), SPACE_CHILD)
            found.update(key[1] for key, item in state.items() if item.event.content.get("via"))
        return frozenset(found)


def _of_stripped(stripped: bytes | None) -> RoomFacts:
    events: list[dict[str, Any]] = msgspec.json.decode(stripped or b"[]")
    content: dict[str, Any] = {}
    for event in events:
        if isinstance(event, dict) and isinstance(event.get("content"), dict):
            content[str(event.get("type"))] = event["content"]
    if not content:
        return UNKNOWN
    type_ = content.get(CREATE[0], {}).get("type")
    return RoomFacts(encrypted=ENCRYPTION[0] in content, type=type_ if isinstance(type_, str) else None)
