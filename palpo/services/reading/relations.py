"""Reading what relates to an event, and a room's threads (spec: "Forming relationships between events")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.history.tokens import Order, Place
from palpo.services.history.visibility import FOREVER, Visibility
from palpo.services.personal.account_data import AccountData
from palpo.services.reading.timeline import BEGINNING, Stretch, Timeline, place_after
from palpo.storage import relations as storage

RECURSION = 3
"""Levels of relations that are followed."""
MAX_PARENTS = 1000
"""Events of one level whose own children are followed."""
MAX_ROUNDS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which children of an event are wanted."""

    rel_type: str | None = None
    event_type: str | None = None
    recurse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadList:
    """A page of a room's threads."""

    roots: list[StoredEvent]
    next: int | None
    """Position that the next page starts from; None where there is no more."""


class Relations:
    """Reads relations."""

    def __init__(
        self,
        db: Database,
        store: EventStore,
        visibility: Visibility,
        timeline: Timeline,
        account_data: AccountData,
    ) -> None:
        self._db = db
        self._store = store
        self._visibility = visibility
        self._timeline = timeline
        self._account_data = account_data

    async def children(
        self,
        room_id: RoomId,
        user_id: UserId,
        event_id: EventId,
        wanted: Wanted,
        *,
        backwards: bool,
        from_token: str | None,
        to_token: str | None,
        limit: int,
    ) -> Stretch:
        """A page of an event's children. Raises NotFound, InvalidParam."""
        await self._visibility.get(room_id, event_id, user_id)
        start = FOREVER if backwards else BEGINNING
        if from_token is not None:
            start = (await self._timeline.place_of(room_id, from_token)).order
        stop = BEGINNING if backwards else FOREVER
        if to_token is not None:
            stop = (await self._timeline.place_of(room_id, to_token)).order
        targets = await self._targets(room_id, event_id, wanted)
        found: list[StoredEvent] = []
        at, complete = start, False
        for _ in range(MAX_ROUNDS):
            asked = limit + 1 - len(found)
            ids = await self._ids(room_id, targets, at, asked, wanted, backwards=backwards)
            page = await self._store.get_list(ids)
            inside = [item for item in page if (item.order > stop if backwards else item.order <= stop)]
            complete = len(inside) < asked
            if page:
                at = place_after(page[-1], backwards=backwards)
            found += await self._visibility.visible(
                await self._timeline.without_ignored(inside, user_id), user_id
            )
            if complete or len(found) > limit:
                break
        if len(found) > limit:
            found, complete = found[:limit], False
            at = place_after(found[-1], backwards=backwards)
        return Stretch(events=found, start=Place(start), end=Place(at), complete=complete)

    async def threads(
        self, room_id: RoomId, user_id: UserId, *, participated: bool, before: int | None, limit: int
    ) -> ThreadList:
        """A page of a room's threads, the one that goes on last first. Raises Forbidden."""
        await self._timeline.readable_until(room_id, user_id)
        roots: list[StoredEvent] = []
        at = FOREVER[0] if before is None else before
        for _ in range(MAX_ROUNDS):
            asked = limit - len(roots)
            rows = await self._threads(room_id, user_id, participated, at, asked)
            roots += await self._visibility.visible(
                await self._store.get_list([root for root, _ in rows]), user_id
            )
            if len(rows) < asked:
                return ThreadList(roots=await self._shown(roots, user_id), next=None)
            at = rows[-1][1]
            if len(roots) == limit:
                break
        more = await self._threads(room_id, user_id, participated, at, 1)
        return ThreadList(roots=await self._shown(roots, user_id), next=at if more else None)

    async def _shown(self, roots: Sequence[StoredEvent], user_id: UserId) -> list[StoredEvent]:
        """Thread roots, those of ignored users without their content."""
        ignored = await self._account_data.ignored_users(user_id)
        return [
            await self._visibility.pruned(item) if item.event.sender in ignored else item for item in roots
        ]

    async def _threads(
        self, room_id: RoomId, user_id: UserId, participated: bool, before: int, limit: int
    ) -> list[tuple[str, int]]:
        return await self._db.read(
            lambda tx: storage.threads(
                tx, room_id, user_id, participated=participated, before=before, limit=limit
            )
        )

    async def _targets(self, room_id: RoomId, event_id: str, wanted: Wanted) -> list[str]:
        """The events whose children are wanted: the one, and with recursion its descendants."""
        targets = {event_id: None}
        level = [event_id]
        for _ in range(RECURSION - 1 if wanted.recurse else 0):
            children = await self._ids(room_id, level, BEGINNING, MAX_PARENTS, wanted, backwards=False)
            level = [child for child in children if child not in targets]
            if not level:
                break
            targets.update(dict.fromkeys(level))
        return list(targets)

    async def _ids(
        self,
        room_id: RoomId,
        targets: Sequence[str],
        at: Order,
        limit: int,
        wanted: Wanted,
        *,
        backwards: bool,
    ) -> list[str]:
        return await self._db.read(
            lambda tx: storage.page(
                tx,
                room_id,
                targets,
                at,
                limit,
                backwards=backwards,
                rel_type=wanted.rel_type,
                event_type=wanted.event_type,
            )
        )
