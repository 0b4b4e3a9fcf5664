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

import structlog

from palpo.core.errors import BadJson
from palpo.core.identifiers import RoomId, ServerName, UserId
from palpo.db.failures import detached, fail
from palpo.net.connections import Times
from palpo.services.federation.events.handshakes import Handshakes
from palpo.services.federation.events.templates import Prepared, Wish
from palpo.services.federation.memberships.joining_rooms import JoiningRooms
from palpo.services.federation.memberships.remote_join_answers import JoinedRoom, RemoteJoinAnswers
from palpo.services.federation.servers.failover import through
from palpo.services.federation.servers.remote_answers import Malformed
from palpo.services.history import HistoryServices
from palpo.services.history.beginnings import Omission
from palpo.streams.background import Background

log = structlog.get_logger("palpo.federation")

VERSIONS = (2, 1)
STATE_BYTES = 256 * 1024 * 1024
PATIENCE_S = 15.0
"""Seconds: who has named a server that never answers keeps nobody else out of the room for longer."""
SEND_TIMES = Times(whole_s=600.0, connect_s=10.0, idle_s=300.0)
"""Of a room with many members a server may work on the answer for minutes."""


async def send_join(
    handshakes: Handshakes,
    answers: RemoteJoinAnswers,
    server: ServerName,
    prepared: Prepared,
    stack: AsyncExitStack,
    *,
    omit_members: bool,
) -> JoinedRoom:
    """Have a server take a join, and tell of the room; raises what the two that are asked raise."""
    return await handshakes.send(
        server,
        prepared,
        partial(answers.read, prepared, stack, asked=omit_members),
        versions=VERSIONS,
        limit=STATE_BYTES,
        times=SEND_TIMES,
        query=[("omit_members", "true")] if omit_members else (),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Join:
    """One that is going on."""

    user_id: UserId
    servers: tuple[ServerName, ...]
    outcome: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class RemoteJoins:
    """Joins through other servers."""

    def __init__(
        self,
        handshakes: Handshakes,
        answers: RemoteJoinAnswers,
        joining: JoiningRooms,
        history: HistoryServices,
        background: Background,
        *,
        server_name: ServerName,
        partial_joins: bool = True,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """``partial_joins``: most members of a room may be left out of what is answered (MSC3706).

        ``patience_s`` is how long a join waits for another of the same room.
        """
        self._server_name = server_name
        self._partial = partial_joins
        self._patience_s = patience_s
        self._handshakes = handshakes
        self._answers = answers
        self._joining = joining
        self._imports = history.state_import
        self._beginnings = history.beginnings
        self._writer = history.room_writer
        self._background = background
        self._going: dict[RoomId, list[_Join]] = {}

    async def join(self, wish: Wish, servers: Sequence[ServerName]) -> bool:
        """Join a room through the first of the servers that lets the user in.

        The same join twice at once is one. Where another of the room is going on, it is waited for, though
        not for long, and nothing else done: False, since the room may be here now. Whoever asked may go; the
        join goes on. Raises MatrixError: what a server says, NotFound where none can be asked.
        """
        going = self._going.get(wish.room_id, [])
        join = _Join(user_id=wish.user_id, servers=tuple(servers))
        same = [other for other in going if (other.user_id, other.servers) == (join.user_id, join.servers)]
        if going and not same:
            outcomes = [other.outcome for other in going]
            done, _ = await asyncio.wait(
                outcomes, timeout=self._patience_s, return_when=asyncio.FIRST_COMPLETED
            )
            if done:
                return False
        if not same:
            self._going.setdefault(wish.room_id, []).append(join)
            self._background.start("remote-join", self._run(wish, join))
        await asyncio.shield((same or [join])[0].outcome)
        return True

    async def _run(self, wish: Wish, join: _Join) -> None:
        self._joining.begin(wish.room_id)
        try:
            await through(join.servers, partial(self._through, wish))
            join.outcome.set_result(None)
        except Exception as error:  # noqa: BLE001 - it is theirs who wait
            fail(join.outcome, detached(error))
        finally:
            join.outcome.cancel()
            self._ended(wish.room_id, join)
            await self._joining.end(wish.room_id)

    def _ended(self, room_id: RoomId, join: _Join) -> None:
        going = self._going[room_id]
        going.remove(join)
        if not going:
            del self._going[room_id]

    async def _through(self, wish: Wish, server: ServerName) -> None:
        prepared = await self._handshakes.make(server, wish)
        asked = self._partial and not await self._beginnings.is_here(wish.room_id)
        async with AsyncExitStack() as stack:
            joined = await send_join(
                self._handshakes, self._answers, server, prepared, stack, omit_members=asked
            )
            await self._begin(server, prepared, joined)

    async def _begin(self, server: ServerName, prepared: Prepared, joined: JoinedRoom) -> None:
        """Have the room be here from the join on, or go on with it."""
        rules, event = prepared.rules, joined.event
        try:
            before = await self._imports.store_given(rules, event.room_id, joined.state, joined.events)
            omission = None
            if joined.servers is not None:
                servers = dict.fromkeys(
                    name for name in (server, *joined.servers) if name != self._server_name
                )
                omission = Omission(via=server, servers=tuple(servers))
            build = partial(self._beginnings.build, event=event, before=before, omission=omission)
            await self._writer.admit(event.room_id, build)
            log.info("remote_join", room_id=event.room_id, state=len(joined.state), events=len(joined.events))
        except BadJson as error:
            raise Malformed(f"The room cannot be what the server says: {error.message}") from error
        finally:
            await joined.events.empty()
