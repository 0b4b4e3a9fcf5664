"""Invites of other servers' users to a room that was just made: several servers are asked at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog

from palpo.core.errors import MatrixError
from palpo.core.identifiers import RoomId, ServerName, UserId, server_name_of
from palpo.services.accounts.sessions import Requester
from palpo.services.rooms.memberships import Memberships
from palpo.streams.background import Background

log = structlog.get_logger("palpo.room_creation")

AT_ONCE = 5
"""Servers. Invites that are signed at the same time do not follow one another: the room has as many ends."""
PATIENCE_S = 10.0
"""How long who makes a room waits for the invites; those that take longer are sent all the same."""


class InvitesElsewhere:
    """Sends them."""

    def __init__(self, memberships: Memberships, background: Background) -> None:
        self._memberships = memberships
        self._background = background

    async def send(
        self, requester: Requester, room_id: RoomId, targets: Iterable[UserId], *, is_direct: bool
    ) -> None:
        """Invite users of other servers; these may refuse, but the room is there by now.

        One server's users are invited one after the other. Nobody waits long for a server that is away.
        """
        by_server: dict[ServerName, list[UserId]] = {}
        for target in targets:
            by_server.setdefault(server_name_of(target), []).append(target)
        free, left = asyncio.Semaphore(AT_ONCE), _Left(len(by_server))

        async def of_server(users: Sequence[UserId]) -> None:
            try:
                async with free:
                    for user_id in users:
                        await self._invite(requester, room_id, user_id, is_direct=is_direct)
            finally:
                left.one_is_done()

        for users in by_server.values():
            self._background.start("invites-elsewhere", of_server(users))
        await left.wait(PATIENCE_S)

    async def _invite(
        self, requester: Requester, room_id: RoomId, target: UserId, *, is_direct: bool
    ) -> None:
        try:
            await self._memberships.invite(requester, room_id, target, None, is_direct=is_direct)
        except MatrixError as error:
            log.info("invite_failed", room_id=room_id, target=target, error=error.message)


class _Left:
    """How many are not done."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._none = asyncio.Event()

    def one_is_done(self) -> None:
        self._count -= 1
        if not self._count:
            self._none.set()

    async def wait(self, patience_s: float) -> None:
        """Wait until all are done, but not for longer than that."""
        if not self._count:
            return
        try:
            async with asyncio.timeout(patience_s) as timer:
                await self._none.wait()
        except TimeoutError:
            if not timer.expired():
                raise
