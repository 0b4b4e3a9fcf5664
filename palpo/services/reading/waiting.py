"""Requests that wait for news, for as long as they may.

What a user's requests wait for is bounded: of too many, the oldest are answered as if their time were up.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from palpo.core.identifiers import UserId
from palpo.db.topics import Topics
from palpo.services.accounts.sessions import Requester, Sessions
from palpo.streams import topics
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

MAX_TIMEOUT_MS = 120_000
"""How long a request may wait, whatever it asks for."""
MAX_REQUESTS = 100
"""Requests of one user that wait at a time."""
MAX_TOPICS = 50_000
"""What they all wait for together, some 150 bytes each: a room is one."""


@dataclass(slots=True)
class _User:
    """The requests of a user that wait, the oldest first, with how many topics each waits for."""

    requests: dict[asyncio.Future[None], int] = field(default_factory=dict)
    topics: int = 0


class Waiting:
    """Waits for topics on behalf of a requester, until the access token is no longer good."""

    def __init__(
        self, wakeups: Wakeups, sessions: Sessions, clock: Clock, *, max_requests: int = MAX_REQUESTS
    ) -> None:
        self._max_requests = max_requests
        self._wakeups = wakeups
        self._sessions = sessions
        self._clock = clock
        self._users: dict[str, _User] = {}

    async def wait(self, requester: Requester, wanted: Topics, *, after: int, timeout_s: float) -> bool:
        """As ``Wakeups.wait``, for who still is who they were when it is over.

        Raises UnknownToken as soon as the token is revoked, its device removed or its account gone, with
        ``soft_logout`` as soon as it expires; M_USER_LOCKED (401) as soon as the account is locked.
        """
        if timeout_s <= 0:
            return False
        await self.confirm(requester)
        session = requester.session
        if session is not None and session.expires_ts is not None:
            timeout_s = min(timeout_s, (session.expires_ts - self._clock.now_ms()) / 1000)
        # One string for all who wait for it.
        wanted = {kind: set(map(sys.intern, keys)) for kind, keys in wanted.items()}
        wanted[topics.SESSION] = {requester.user_id}
        with self._place(requester.user_id, sum(map(len, wanted.values()))) as (user, waiter):
            news = await self._wakeups.wait(wanted, after=after, timeout_s=timeout_s, waiter=waiter)
            let_go = waiter not in user.requests
        await self.confirm(requester)
        return news and not let_go

    @contextmanager
    def _place(self, user_id: UserId, topics: int) -> Iterator[tuple[_User, asyncio.Future[None]]]:
        """A place among those of the user who wait; the oldest have to make room."""
        user = self._users.setdefault(user_id, _User())
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        user.requests[waiter] = topics
        user.topics += topics
        while len(user.requests) > self._max_requests or (
            user.topics > MAX_TOPICS and len(user.requests) > 1
        ):
            self._leave(user, next(iter(user.requests)))
        try:
            yield user, waiter
        finally:
            self._leave(user, waiter)
            if not user.requests and self._users.get(user_id) is user:
                del self._users[user_id]

    def _leave(self, user: _User, waiter: asyncio.Future[None]) -> None:
        user.topics -= user.requests.pop(waiter, 0)
        if not waiter.done():
            waiter.set_result(None)

    async def confirm(self, requester: Requester) -> None:
        """Raises, as ``wait`` does, where ``requester`` may no longer act."""
        (await self._sessions.confirm(requester)).refuse_locked()
