"""Users of this server leave rooms that are not here: invites are turned down, knocks taken back.

Spec: server-server API, "Leaving Rooms (Rejecting Invites)".
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from palpo.core.errors import MatrixError
from palpo.core.events import build_event
from palpo.core.identifiers import ServerName
from palpo.core.room_versions import EventIdFormat, RoomVersion
from palpo.core.state_keys import MEMBER
from palpo.db.failures import detached, fail
from palpo.net.connections import Times
from palpo.net.federation_answer import FederationAnswer
from palpo.services.federation.events.handshakes import Handshakes
from palpo.services.federation.events.templates import Prepared, Signer, Wish
from palpo.services.federation.servers.failover import through
from palpo.services.history.outside_memberships import OutsideMemberships
from palpo.streams.background import Background

VERSIONS = (2, 1)
ANSWER_BYTES = 64 * 1024
TIMES = Times(whole_s=30.0, connect_s=10.0, idle_s=30.0)
DEPTH = 1

PATIENCE_S = 10.0
_Taken = tuple[ServerName, Prepared]
"""The server that took a leave, and the leave."""


class RemoteLeaves:
    """Leaves through other servers, or without them."""

    def __init__(
        self,
        handshakes: Handshakes,
        signer: Signer,
        outside: OutsideMemberships,
        background: Background,
        *,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """``patience_s`` is how long a leave waits for a server to take it."""
        self._handshakes = handshakes
        self._signer = signer
        self._outside = outside
        self._background = background
        self._patience_s = patience_s

    async def leave(
        self, wish: Wish, rules: RoomVersion, servers: Sequence[ServerName], *, instead_of: str
    ) -> None:
        """Leave through one of the servers; where none takes it soon, so that at least this server knows.

        They are asked all the same. ``rules`` are the room's as far as they are known, ``instead_of`` is the
        event by which the user is invited or knocks: if it is another one by then, that stays.
        """
        taken: asyncio.Future[_Taken] = asyncio.get_running_loop().create_future()
        self._background.start("remote-leave", self._tell(wish, servers, taken))
        await asyncio.wait([taken], timeout=self._patience_s)
        if taken.done() and not taken.cancelled() and taken.exception() is None:
            server, prepared = taken.result()
        else:
            server, prepared = self._signer.server_name, self._alone(wish, rules)
        await self._outside.put(prepared.rules, prepared.event, server, instead_of=instead_of)

    async def _tell(self, wish: Wish, servers: Sequence[ServerName], taken: asyncio.Future[_Taken]) -> None:
        try:
            taken.set_result(await through(servers, partial(self._through, wish)))
        except MatrixError as error:
            fail(taken, detached(error))
        finally:
            taken.cancel()

    async def _through(self, wish: Wish, server: ServerName) -> _Taken:
        prepared = await self._handshakes.make(server, wish)
        await self._handshakes.send(
            server, prepared, _read, versions=VERSIONS, limit=ANSWER_BYTES, times=TIMES
        )
        return server, prepared

    def _alone(self, wish: Wish, rules: RoomVersion) -> Prepared:
        """The leave as an event that stands nowhere."""
        signer = self._signer
        chosen = rules.event_id_format is EventIdFormat.CHOSEN
        event = build_event(
            rules,
            server_name=signer.server_name,
            key=signer.key,
            room_id=wish.room_id,
            type=MEMBER,
            sender=wish.user_id,
            state_key=wish.user_id,
            content={**wish.content, "membership": wish.membership.value},
            origin_server_ts=signer.now_ms(),
            depth=1,
            prev_events=(),
            auth_events=(),
            event_id=f"${signer.random_id()}:{signer.server_name}" if chosen else None,
        )
        return Prepared(rules=rules, event=event)


async def _read(version: int, answer: FederationAnswer) -> None:
    """There is nothing in the answer."""
