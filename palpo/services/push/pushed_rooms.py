"""What is said of a room where somebody is pushed to: its current state, or what an invite shows of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from palpo.core.canonical_json import decode
from palpo.core.errors import NotFound
from palpo.core.events import StateKey
from palpo.db.engine import Database
from palpo.services.history.room_heads import RoomHeads
from palpo.storage import memberships


class PushedRooms:
    """Looks it up."""

    def __init__(self, db: Database, heads: RoomHeads) -> None:
        self._db = db
        self._heads = heads

    async def contents(
        self, room_id: str, user_id: str, keys: Collection[StateKey]
    ) -> dict[StateKey, dict[str, Any]]:
        """The contents of those pieces of state that the user may know."""
        try:
            head = await self._heads.get(room_id)
        except NotFound:
            return await self._shown(room_id, user_id, keys)
        return {key: event.content for key, event in (await self._heads.state(head, keys)).items()}

    async def _shown(
        self, room_id: str, user_id: str, keys: Collection[StateKey]
    ) -> dict[StateKey, dict[str, Any]]:
        member = await self._db.read(lambda tx: memberships.get(tx, room_id, user_id))
        shown = decode(member.stripped_state or b"[]") if member is not None else []
        found = {(piece["type"], piece["state_key"]): piece["content"] for piece in shown}
        return {key: found[key] for key in keys if key in found}
