"""Room summaries: counts, and the heroes that a room without a name is called by."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.db.engine import Database
from palpo.db.transaction import Transaction
from palpo.services.event_store import EventStore
from palpo.storage import memberships

MAX_HEROES = 5
GONE = ("leave", "ban")
HERE = ("join", "invite")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSummary:
    """``heroes`` is None for a room that has a name or a canonical alias."""

    joined: int
    invited: int
    heroes: list[str] | None


class Summaries:
    """Makes summaries (spec: "GET /sync", RoomSummary)."""

    def __init__(self, db: Database, store: EventStore) -> None:
        self._db = db
        self._store = store

    async def get(self, room_id: str, user_id: str, root: bytes) -> RoomSummary:
        """The summary of a room in the state ``root``, as ``user_id`` sees it."""
        named = await self._named(root)

        async def read(tx: Transaction) -> RoomSummary:
            counts = await memberships.counts(tx, room_id)
            heroes: list[str] | None = None
            if not named:
                heroes = await _heroes(tx, room_id, user_id)
            return RoomSummary(joined=counts.get("join", 0), invited=counts.get("invite", 0), heroes=heroes)

        return await self._db.read(read)

    async def _named(self, root: bytes) -> bool:
        found = await self._store.state_events(root, [("m.room.name", ""), ("m.room.canonical_alias", "")])
        name = found.get(("m.room.name", ""))
        alias = found.get(("m.room.canonical_alias", ""))
        return bool(
            (name is not None and name.event.content.get("name"))
            or (alias is not None and alias.event.content.get("alias"))
        )


async def _heroes(tx: Transaction, room_id: str, user_id: str) -> list[str]:
    for wanted in (HERE, GONE):
        found = await memberships.first_users(tx, room_id, wanted, MAX_HEROES + 1)
        heroes = [other for other, _ in found if other != user_id][:MAX_HEROES]
        if heroes:
            return heroes
    return []
