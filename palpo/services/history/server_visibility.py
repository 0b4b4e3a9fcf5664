"""Which events another server may have in full (spec: server-server API, "Backfilling and retrieving missing
events")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from palpo.core import state_tree
from palpo.core.membership import JOIN, membership_of
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.core.state_keys import MEMBER
from palpo.core.visibility import server_can_see
from palpo.db.engine import Database
from palpo.services.history.erasures import Erasures
from palpo.services.history.event_store import EventStore
from palpo.services.history.state_at import Pair, StateAt
from palpo.storage import memberships as storage
from palpo.streams.turns import Turns

MAX_USERS = 1000
"""Of a server's users in one room, that are looked at where only members may read."""
AT_ONCE = 50


class ServerVisibility:
    """Looks at the history visibility, and the server's users, at each event."""

    def __init__(self, db: Database, store: EventStore, state_at: StateAt, erasures: Erasures) -> None:
        self._db = db
        self._store = store
        self._state_at = state_at
        self._erasures = erasures

    async def hidden(self, events: Sequence[StoredEvent], server: str) -> set[str]:
        """Those of a room's events that the server may have redacted only.

        Of messages of erased users, all from when it was not there (spec: client-server API, "Account
        deactivation"). Of what only other events refer to there is no state to look at: such state may be
        had by whoever is in the room.
        """
        visibilities = await self._state_at.visibilities(events)
        erased = await self._erasures.among({item.event.sender for item in events})
        users = _Users(self._db, self._store, events[0].event.room_id if events else "", server)
        return {
            item.event_id
            async for item, visibility in Turns().over(zip(events, visibilities, strict=True))
            if not await _sees(item, visibility, users, erased=item.event.sender in erased)
        }


@dataclass(slots=True)
class _Users:
    """The memberships of a server's users, by the state."""

    _db: Database
    _store: EventStore
    _room_id: str
    _server: str
    _names: list[str] | None = None
    _known: dict[bytes, frozenset[str | None]] = field(default_factory=dict)

    async def memberships(self, item: StoredEvent) -> frozenset[str | None]:
        """What they are, before the event or after it; all that there is, or JOIN."""
        before = await self._at(item.state_before)
        return before if JOIN in before else before | await self._at(item.state_after)

    async def _at(self, root: bytes) -> frozenset[str | None]:
        if root not in self._known:
            self._known[root] = await self._read(root)
        return self._known[root]

    async def _read(self, root: bytes) -> frozenset[str | None]:
        found: set[str | None] = set()
        async for users in Turns().over(_parts(await self._users())):
            ids = await self._store.read_state(
                state_tree.get_many(root, [(MEMBER, user_id) for user_id in users])
            )
            events = await self._store.get_many(ids.values())
            found.update(membership_of(item.event) for item in events.values())
            if JOIN in found:
                break
        return frozenset(found)

    async def _users(self) -> list[str]:
        if self._names is None:
            self._names = await self._db.read(
                lambda tx: storage.users_of_server(tx, self._room_id, self._server, MAX_USERS)
            )
        return self._names


def _parts(users: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(users), AT_ONCE):
        yield users[start : start + AT_ONCE]


async def _sees(item: StoredEvent, visibility: Pair, users: _Users, *, erased: bool) -> bool:
    if item.status is EventStatus.OUTLIER:
        return item.event.state_key is not None
    if erased:
        return JOIN in await users.memberships(item)
    return server_can_see(visibility, ()) or server_can_see(visibility, await users.memberships(item))
