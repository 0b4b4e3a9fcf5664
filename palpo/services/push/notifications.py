"""What a user was notified of (spec: client-server API, "Listing Notifications").

Nothing is stored for it: the user's rules judge the events of their rooms anew, newest first, as many as
are asked for and no more than a bound in one go. A page may so be short, or empty, and yet have a next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from palpo.core.errors import InvalidParam
from palpo.core.identifiers import UserId
from palpo.core.membership import INVITE, JOIN
from palpo.core.records.events import StoredEvent
from palpo.db.engine import Database
from palpo.services.history.event_store import EventStore
from palpo.services.push.push_judge import PushJudge
from palpo.services.push.unread import Unread
from palpo.storage import memberships
from palpo.storage import notifications as storage
from palpo.streams.wakeups import Wakeups

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
BATCH = 100
MAX_BATCHES = 20
"""Batches of events that are judged for one page."""
WINDOW = 50_000
"""Stream positions that one batch looks at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """An event that notified the user."""

    stored: StoredEvent
    actions: list[Any]
    read: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Notifications, newest first; ``next_token`` is None where there are no more."""

    notifications: list[Notification]
    next_token: str | None


class Notifications:
    """Lists notifications."""

    def __init__(
        self,
        db: Database,
        wakeups: Wakeups,
        events: EventStore,
        judge: PushJudge,
        unread: Unread,
    ) -> None:
        self._db = db
        self._wakeups = wakeups
        self._events = events
        self._judge = judge
        self._unread = unread

    async def page(self, user_id: UserId, *, token: str | None, limit: int | None, highlights: bool) -> Page:
        """At most ``limit`` notifications from ``token`` on; raises InvalidParam for another's token."""
        upto = self._wakeups.position if token is None else _position(token)
        wanted = DEFAULT_LIMIT if limit is None else max(1, min(limit, MAX_LIMIT))
        rows = await self._db.read(lambda tx: memberships.of_user(tx, user_id))
        rooms = [row.room_id for row in rows if row.membership in (JOIN, INVITE)]
        if not rooms:
            return Page(notifications=[], next_token=None)
        found: list[tuple[StoredEvent, list[Any]]] = []
        for _ in range(MAX_BATCHES):
            if upto <= 0 or len(found) >= wanted:
                break
            upto = await self._add(found, user_id, rooms, upto, wanted, highlights)
        joined = [row.room_id for row in rows if row.membership == JOIN]
        return Page(
            notifications=await self._with_read(found, user_id, joined),
            next_token=f"n{upto}" if upto > 0 else None,
        )

    async def _add(
        self,
        found: list[tuple[StoredEvent, list[Any]]],
        user_id: UserId,
        rooms: Sequence[str],
        upto: int,
        wanted: int,
        highlights: bool,
    ) -> int:
        """Add what one batch up to ``upto`` has; the position up to which the next one is."""
        after = max(0, upto - WINDOW)
        rows = await self._db.read(
            lambda tx: storage.by_others(tx, user_id, rooms, after=after, upto=upto, limit=BATCH)
        )
        events = await self._events.get_list([event_id for _, event_id in rows])
        for stored in events:
            actions = (await self._judge.notified(stored, [user_id])).get(user_id)
            if actions is not None and (actions.highlight or not highlights):
                found.append((stored, actions.raw))
                if len(found) == wanted:
                    return stored.position - 1
        return rows[-1][0] - 1 if len(rows) == BATCH else after

    async def _with_read(
        self, found: Sequence[tuple[StoredEvent, list[Any]]], user_id: UserId, joined: Sequence[str]
    ) -> list[Notification]:
        rooms = list({stored.event.room_id for stored, _ in found} & set(joined))
        marks = await self._unread.read_marks(user_id, rooms, self._wakeups.position)
        return [
            Notification(
                stored=stored,
                actions=actions,
                read=await self._unread.is_read(stored, marks.get(stored.event.room_id, {})),
            )
            for stored, actions in found
        ]


def _position(token: str) -> int:
    digits = token.removeprefix("n")
    if digits == token or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise InvalidParam("from is not a next_token")
    return int(digits)
