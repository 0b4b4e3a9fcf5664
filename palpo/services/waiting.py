"""Requests that wait for news, for as long as they may."""

from __future__ import annotations

from collections.abc import Collection

from palpo.services.logins import locked
from palpo.services.sessions import Requester, Sessions
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups


class Waiting:
    """Waits for topics on behalf of a requester, until the access token is no longer good."""

    def __init__(self, wakeups: Wakeups, sessions: Sessions, clock: Clock) -> None:
        self._wakeups = wakeups
        self._sessions = sessions
        self._clock = clock

    async def wait(
        self, requester: Requester, topics: Collection[str], *, after: int, timeout_s: float
    ) -> bool:
        """As ``Wakeups.wait``, for who still is who they were when it is over.

        Raises UnknownToken as soon as the token is revoked, its device removed or its account gone, with
        ``soft_logout`` as soon as it expires; M_USER_LOCKED (401) as soon as the account is locked.
        """
        await self.confirm(requester)
        session = requester.session
        if session is not None and session.expires_ts is not None:
            timeout_s = min(timeout_s, (session.expires_ts - self._clock.now_ms()) / 1000)
        news = await self._wakeups.wait(
            {*topics, f"session:{requester.user_id}"}, after=after, timeout_s=timeout_s
        )
        await self.confirm(requester)
        return news

    async def confirm(self, requester: Requester) -> None:
        """Raises, as ``wait`` does, where ``requester`` may no longer act."""
        if (await self._sessions.confirm(requester)).locked:
            raise locked()
