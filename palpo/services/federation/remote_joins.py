"""Joins of users of this server in rooms that are not here, or that others have to let them into.

    make_join ─▶ [our join] ─▶ send_join ─▶ state, auth chain ─▶ checked ─▶ stored ─▶ the room begins here

Nothing of the room is written before another server has taken the join, and what it tells has been checked.
Spec: server-server API, "Joining Rooms".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial

from palpo.core.errors import BadJson
from palpo.core.identifiers import RoomId, ServerName, UserId
from palpo.db.failures import detached, fail
from palpo.net.connections import Times
from palpo.services.federation.failover import through
from palpo.services.federation.handshakes import Handshakes
from palpo.services.federation.joining_rooms import JoiningRooms
from palpo.services.federation.remote_answers import Malformed
from palpo.services.federation.remote_join_answers import JoinedRoom, RemoteJoinAnswers
from palpo.services.federation.templates import Prepared, Wish
from palpo.services.history import HistoryServices
from palpo.streams.background import Background

VERSIONS = (2, 1)
STATE_BYTES = 256 * 1024 * 1024
SEND_TIMES = Times(whole_s=600.0, connect_s=10.0, idle_s=300.0)
"""Of a room with many members a server may work on the answer for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Join:
    """One that is going on."""

    user_id: UserId
    outcome: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class RemoteJoins:
    """Joins through other servers, at most one in a room at a time."""

    def __init__(
        self,
        handshakes: Handshakes,
        answers: RemoteJoinAnswers,
        joining: JoiningRooms,
        history: HistoryServices,
        background: Background,
    ) -> None:
        self._handshakes = handshakes
        self._answers = answers
        self._joining = joining
        self._imports = history.state_import
        self._beginnings = history.beginnings
        self._writer = history.room_writer
        self._background = background
        self._going: dict[RoomId, _Join] = {}

    async def join(self, wish: Wish, servers: Sequence[ServerName]) -> bool:
        """Join a room through the first of the servers that lets the user in.

        The same join twice at once is one. Where another user is joining the room, that is waited for, and
        nothing else done: False, since the room may be here now. Whoever asked may go; the join goes on.
        Raises MatrixError: what a server says, NotFound where none can be asked.
        """
        going = self._going.get(wish.room_id)
        if going is not None and going.user_id != wish.user_id:
            await asyncio.wait([going.outcome])
            return False
        if going is None:
            going = self._going[wish.room_id] = _Join(user_id=wish.user_id)
            self._background.start("remote-join", self._run(wish, servers, going.outcome))
        await asyncio.shield(going.outcome)
        return True

    async def _run(self, wish: Wish, servers: Sequence[ServerName], outcome: asyncio.Future[None]) -> None:
        self._joining.begin(wish.room_id)
        try:
            await through(servers, partial(self._through, wish))
            outcome.set_result(None)
        except Exception as error:  # noqa: BLE001 - it is theirs who wait
            fail(outcome, detached(error))
        finally:
            outcome.cancel()
            del self._going[wish.room_id]
            await self._joining.end(wish.room_id)

    async def _through(self, wish: Wish, server: ServerName) -> None:
        prepared = await self._handshakes.make(server, wish)
        async with AsyncExitStack() as stack:
            joined = await self._handshakes.send(
                server,
                prepared,
                partial(self._answers.read, prepared, stack),
                versions=VERSIONS,
                limit=STATE_BYTES,
                times=SEND_TIMES,
            )
            await self._begin(prepared, joined)

    async def _begin(self, prepared: Prepared, joined: JoinedRoom) -> None:
        """Have the room be here from the join on, or go on with it."""
        rules, event = prepared.rules, joined.event
        try:
            before = await self._imports.store_given(rules, event.room_id, joined.state, joined.events)
            build = partial(self._beginnings.build, event=event, before=before)
            await self._writer.admit(event.room_id, build)
        except BadJson as error:
            raise Malformed(f"The room cannot be what the server says: {error.message}") from error
        finally:
            await joined.events.empty()
