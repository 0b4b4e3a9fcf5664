"""Rooms at a glance, and the stream of events: what clients used before ``/sync``."""

from __future__ import annotations

from dataclasses import dataclass

from palpo.core.identifiers import EventId, RoomId, UserId
from palpo.core.membership import INVITE, JOIN, KNOCK
from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.db.topics import Kind
from palpo.services.accounts.sessions import Requester
from palpo.services.history import HistoryServices
from palpo.services.personal.account_data import AccountData
from palpo.services.personal.invite_permissions import InvitePermissions
from palpo.services.reading.timeline import Query, Stretch, Timeline
from palpo.services.reading.waiting import MAX_TIMEOUT_MS, Waiting
from palpo.services.rooms.room_directory import RoomDirectory
from palpo.storage import events as events_storage
from palpo.storage import memberships as memberships_storage
from palpo.storage.memberships import Member
from palpo.streams import topics
from palpo.streams.wakeups import Wakeups

MAX_EVENTS = 100

Account = list[tuple[str, bytes]]
"""``(type, content)`` of account data, the content as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A room as one user sees it."""

    room_id: RoomId
    membership: str | None
    """None for who only looks in."""
    messages: Stretch
    """Newest first."""
    state: list[StoredEvent]
    listed: bool
    """Whether it is in the public directory."""
    account_data: Account


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvents:
    """What happened between two positions of the stream."""

    events: list[StoredEvent]
    start: int
    end: int


class OldSync:
    """Answers ``/initialSync`` and ``/events``."""

    def __init__(
        self,
        db: Database,
        history: HistoryServices,
        wakeups: Wakeups,
        waiting: Waiting,
        timeline: Timeline,
        directory: RoomDirectory,
        account_data: AccountData,
        invite_permissions: InvitePermissions,
    ) -> None:
        self._db = db
        self._store = history.events
        self._wakeups = wakeups
        self._waiting = waiting
        self._access = history.room_access
        self._timeline = timeline
        self._visibility = history.visibility
        self._directory = directory
        self._account_data = account_data
        self._invite_permissions = invite_permissions

    def position(self) -> int:
        """Where the stream is now."""
        return self._wakeups.position

    async def memberships(self, user_id: UserId, *, archived: bool) -> list[Member]:
        """The rooms that a user is in or invited to; with ``archived``, those they left too."""
        rows = await self._db.read(lambda tx: memberships_storage.of_user(tx, user_id))
        wanted = [row for row in rows if archived or row.membership in (JOIN, INVITE, KNOCK)]
        shows = self._invite_permissions.shows
        return [row for row in wanted if row.membership != INVITE or await shows(user_id, row.sender)]

    async def account_data(self, user_id: UserId) -> dict[str | None, Account]:
        """All of a user's account data, by room; None for what is of no room."""
        found: dict[str | None, Account] = {}
        for room_id, type_, content in await self._account_data.changed(user_id, 0, self.position()):
            found.setdefault(room_id, []).append((type_, content))
        return found

    async def room(self, room_id: RoomId, user_id: UserId, account_data: Account, *, limit: int) -> Snapshot:
        """A room at a glance; raises Forbidden."""
        query = Query(room_id=room_id, user_id=user_id, backwards=True, limit=limit)
        messages = await self._timeline.messages(query, None, None)
        root = await self._access.visible_root(room_id, user_id)
        member = await self._access.membership(room_id, user_id)
        return Snapshot(
            room_id=room_id,
            membership=None if member is None else member.membership,
            messages=messages,
            state=list((await self._store.full_state(root)).values()),
            listed=await self._directory.is_listed(room_id),
            account_data=account_data,
        )

    async def events(
        self, requester: Requester, *, after: int | None, timeout_ms: int, room_id: RoomId | None
    ) -> NewEvents:
        """What happened since ``after`` in the user's rooms, or in one room; waits until something does.

        Raises Forbidden for a room that the user may not look into.
        """
        user_id = requester.user_id
        if room_id is not None:
            await self._timeline.readable_until(room_id, user_id)
        start = self.position() if after is None else after
        timeout_s = min(timeout_ms, MAX_TIMEOUT_MS) / 1000
        found = await self._events(user_id, start, room_id)
        if not found.events and timeout_s > 0:
            rooms = await self._rooms(user_id, room_id)
            wanted: dict[Kind, set[str]] = {topics.USER: {user_id}, topics.ROOM: set(rooms)}
            if await self._waiting.wait(requester, wanted, after=found.end, timeout_s=timeout_s):
                found = await self._events(user_id, start, room_id)
        return found

    async def event(self, event_id: EventId, user_id: UserId) -> StoredEvent:
        """An event that the user may see, of any room; raises NotFound."""
        found = await self._store.get(event_id)
        return await self._visibility.get(found.event.room_id, event_id, user_id)

    async def _rooms(self, user_id: UserId, room_id: RoomId | None) -> list[str]:
        if room_id is not None:
            return [room_id]
        return await self._db.read(lambda tx: memberships_storage.joined_rooms(tx, user_id))

    async def _events(self, user_id: UserId, after: int, room_id: RoomId | None) -> NewEvents:
        upto = max(self.position(), after)
        rooms = await self._rooms(user_id, room_id)
        ids = await self._db.read(
            lambda tx: events_storage.ids_in_rooms(tx, rooms, after=after, upto=upto, limit=MAX_EVENTS)
        )
        events = await self._store.get_list(ids)
        end = events[-1].position if len(ids) == MAX_EVENTS else upto
        seen = await self._visibility.visible(events, user_id)
        return NewEvents(events=seen, start=after, end=end)
