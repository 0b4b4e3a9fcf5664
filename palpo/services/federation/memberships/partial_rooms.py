"""The members that were left out when users of this server joined rooms are fetched (MSC3902).

    partial_rooms ─▶ /state_ids or /state, of who let the user in, or of others ─▶ stored ─▶ the room is whole

One process does it, of a few rooms at once. What fails is tried again after a pause that grows, over restarts
too, as long as a user of ours is in the room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial

import structlog

from palpo.core.errors import MatrixError, NotFound
from palpo.core.events import SignedEvent
from palpo.core.identifiers import RoomId, ServerName
from palpo.db.engine import Database
from palpo.db.errors import DatabaseError
from palpo.db.leases import Lease
from palpo.db.transaction import WriteTransaction
from palpo.net.connections import Times
from palpo.net.federation_errors import FederationError
from palpo.services.federation.fetching.remote_state import RemoteState, Withheld
from palpo.services.federation.sending.outgoing_device_lists import tell_again
from palpo.services.federation.servers.peers import Peers
from palpo.services.history import HistoryServices
from palpo.services.history.room_heads import RoomHead
from palpo.storage import device_lists, memberships
from palpo.storage import partial_rooms as storage
from palpo.storage.partial_rooms import PartialRoom
from palpo.streams import topics
from palpo.streams.background import Background
from palpo.streams.clock import Clock
from palpo.streams.wakeups import Wakeups

log = structlog.get_logger("palpo.federation")

MAX_USERS = 200
"""Of ours in a room, whose devices are told of again."""
AT_ONCE = 20
"""Rooms whose state is asked for at once."""
LOOK_S = 5.0
"""Seconds between two looks at what is to be tried again."""
AGAIN_MS = (5_000, 600_000)
"""After how long a room is tried again: at first, and at most."""
TIMES = Times(whole_s=900.0, connect_s=10.0, idle_s=600.0)
"""Of a large room a server may work on the answer for minutes."""


class PartialRooms:
    """Makes them whole."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        wakeups: Wakeups,
        background: Background,
        history: HistoryServices,
        states: RemoteState,
        peers: Peers,
    ) -> None:
        self._db = db
        self._clock = clock
        self._wakeups = wakeups
        self._background = background
        self._history = history
        self._states = states
        self._peers = peers
        self._going: set[RoomId] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    async def settled(self) -> None:
        """Wait until no state is asked for any more."""
        await self._idle.wait()

    async def run(self, _lease: Lease) -> None:
        """Ask for what is missing until cancelled: at a start for all of it, whenever that was to be."""
        begun = False
        while True:
            position = self._wakeups.position
            try:
                if not begun:
                    await self._db.write(partial(storage.hasten, now_ms=self._clock.now_ms()))
                    begun = True
                await self.look()
            except DatabaseError as error:
                log.warning("partial_rooms_not_looked_for", error=str(error))
                await asyncio.sleep(LOOK_S)
            await self._wakeups.wait({topics.PARTIAL_ROOMS: {topics.ONLY}}, after=position, timeout_s=LOOK_S)

    async def look(self) -> None:
        """Begin with what is due."""
        now_ms = self._clock.now_ms()
        due = await self._db.read(partial(storage.due, now_ms=now_ms, limit=AT_ONCE + len(self._going)))
        for room in due:
            if room.room_id not in self._going and len(self._going) < AT_ONCE:
                self._going.add(room.room_id)
                self._idle.clear()
                self._background.start("partial-room", self._go_on(room))

    async def _go_on(self, room: PartialRoom) -> None:
        try:
            await self._complete(room)
        except DatabaseError as error:
            log.warning("room_not_completed", room_id=room.room_id, error=str(error))
        finally:
            self._going.discard(room.room_id)
            if not self._going:
                self._idle.set()

    async def _complete(self, room: PartialRoom) -> None:
        if not await self._history.beginnings.is_here(room.room_id):
            await self._give_up(room)
            return
        why: Exception = NotFound("Nobody can be asked")
        for server in await self._to_ask(room):
            try:
                await self._through(room, server)
            except (Withheld, FederationError, MatrixError) as error:
                why = error
                log.info("state_not_given", room_id=room.room_id, server_name=server, error=str(error)[:200])
            else:
                log.info("room_completed", room_id=room.room_id, server_name=server)
                return
        first, longest = AGAIN_MS
        pause = min(first << min(room.tries, 20), longest)
        later = replace(room, tries=room.tries + 1, next_ts=self._clock.now_ms() + pause)
        await self._db.write(partial(storage.later, room=later))
        log.warning("room_not_completed", room_id=room.room_id, error=str(why)[:200])

    async def _through(self, room: PartialRoom, server: ServerName) -> None:
        """Have the state from one server."""
        history = self._history
        head, event = await self._head(room)
        root = await self._states.whole(server, head, event, TIMES)
        followed = await history.completions.note_members(room, root, self._tell)
        judged = await history.completions.judge_again(room, root)
        build = partial(history.completions.build, room, root, followed, self._tell, judged)
        await history.room_writer.admit(room.room_id, build)

    async def _tell(self, tx: WriteTransaction, room: PartialRoom, servers: Collection[ServerName]) -> None:
        """Tell servers of the devices of users of ours that have changed while they were not told."""
        if not servers:
            return
        users = await memberships.local_users_in_room(tx, room.room_id, MAX_USERS)
        for user_id in await device_lists.changed_of(tx, users, after=room.position):
            await tell_again(tx, user_id, servers)

    async def _give_up(self, room: PartialRoom) -> None:
        """Ask no more for the state of a room that nobody is in."""
        history = self._history
        await history.room_writer.admit(room.room_id, partial(history.completions.give_up, room))
        log.info("room_given_up", room_id=room.room_id)

    async def _head(self, room: PartialRoom) -> tuple[RoomHead, SignedEvent]:
        """The room's head, and the join with which it began."""
        head = await self._history.room_heads.get(room.room_id)
        signed = await self._history.events.signed([room.event_id])
        if room.event_id not in signed:
            raise NotFound("The join is not here")
        return head, signed[room.event_id]

    async def _to_ask(self, room: PartialRoom) -> Sequence[ServerName]:
        """Who has let the user in, and others that are in the room."""
        others = await self._peers.to_ask(room.room_id)
        return list(dict.fromkeys([room.via, *others]))
