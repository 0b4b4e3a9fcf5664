"""Where clients stand in the stream, and waiting until there is more: for both ways to sync.

What a client gets covers a ``Window``. Where there is nothing in it for the client (``Look``), it looks again
once something has happened on a topic that it follows, until its time is up.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from palpo.core.membership import JOIN
from palpo.db.topics import Topics
from palpo.services.accounts.sessions import Requester
from palpo.services.history.tokens import is_synapse_token, parse_sync_token
from palpo.services.reading.waiting import MAX_TIMEOUT_MS, Waiting
from palpo.services.server import Server
from palpo.storage.memberships import Member
from palpo.streams import topics
from palpo.sync.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a client stands."""

    since: int | None = None
    """The position that it has seen, None for a client that knows nothing, or has to begin anew."""
    to_device: int = 0
    """The same of the messages to its device."""
    lost: bool = False
    """Whether it has seen what was lost when the database was put back from a backup."""


@dataclass(slots=True, kw_only=True)
class Look:
    """What a client finds when it looks."""

    window: Window
    followed: Topics
    """What may end its waiting for more."""

    @property
    def empty(self) -> bool:
        """Whether it may be kept waiting for more."""
        raise NotImplementedError


L = TypeVar("L", bound=Look)
Memberships = Mapping[str, Member]
"""A user's, by room."""


class Feed:
    """What clients follow."""

    def __init__(self, server: Server, waiting: Waiting) -> None:
        self._wakeups = server.wakeups
        self._history = server.stream_history
        self._waiting = waiting

    async def start(self, token: str | None) -> Start:
        """Where a client with a token of the stream stands; a token that is ahead of it is none,
        nor is one of the Synapse that the account was imported from.

        Raises InvalidParam.
        """
        if not token or is_synapse_token(token):
            return Start()
        since, to_device = parse_sync_token(token)
        if await self._history.is_ahead(since):
            return Start()
        return Start(since=since, to_device=to_device, lost=self._history.is_lost(since))

    def window(self, since: int | None) -> Window:
        """From where a client stands up to now."""
        upto = self._wakeups.position
        if since is None:
            return Window(since=None, upto=upto, changed=None)
        return Window(since=min(since, upto), upto=upto, changed=self._wakeups.changed_since(since))

    async def follow(self, requester: Requester, deadline: float, look: Callable[[], Awaitable[L]]) -> L:
        """What ``look`` finds, again when there is news, as soon as it is something or the time is up.

        Raises what ``Waiting.wait`` does where the requester's access ends meanwhile.
        """
        while True:
            found = await look()
            if found.window.initial or not found.empty:
                return found
            remaining = deadline - time.monotonic()
            if not await self._waiting.wait(
                requester, found.followed, after=found.window.upto, timeout_s=remaining
            ):
                return found


def deadline(timeout_ms: int) -> float:
    """When a client's time is up that wants to wait for so long, in the seconds of ``time.monotonic``."""
    return time.monotonic() + min(timeout_ms, MAX_TIMEOUT_MS) / 1000


def joined(memberships: Memberships) -> set[str]:
    """The rooms that the user is in."""
    return {room_id for room_id, row in memberships.items() if row.membership is JOIN}


def followed(user_id: str, memberships: Memberships) -> Topics:
    """What may be news to the user."""
    return {topics.ROOM: joined(memberships), topics.USER: {user_id}}
