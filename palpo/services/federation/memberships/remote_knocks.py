"""Knocks of users of this server at rooms that are not here.

Spec: server-server API, "Knocking upon a room".
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec

from palpo.core.errors import Conflict
from palpo.core.events import stripped
from palpo.core.identifiers import ServerName
from palpo.net.connections import Times
from palpo.net.federation_answer import FederationAnswer
from palpo.services.federation.events.handshakes import Handshakes
from palpo.services.federation.events.shown_state import ShownState
from palpo.services.federation.events.templates import Prepared, Wish
from palpo.services.federation.servers.failover import through
from palpo.services.federation.servers.remote_answers import read
from palpo.services.history.outside_memberships import OutsideMemberships

ANSWER_BYTES = 1024 * 1024
TIMES = Times(whole_s=60.0, connect_s=10.0, idle_s=60.0)


class _Answer(msgspec.Struct, frozen=True):
    knock_room_state: list[Any] = []


class RemoteKnocks:
    """Knocks through other servers."""

    def __init__(self, handshakes: Handshakes, shown: ShownState, outside: OutsideMemberships) -> None:
        self._handshakes = handshakes
        self._shown = shown
        self._outside = outside

    async def knock(self, wish: Wish, servers: Sequence[ServerName]) -> None:
        """Knock through the first of the servers that takes it.

        Raises MatrixError: what a server says, NotFound where none can be asked.
        """
        server, prepared, shown = await through(servers, partial(self._through, wish))
        event = prepared.event
        shown = [item for item in shown if (item["type"], item["state_key"]) != event.key]
        kept = await self._outside.put(prepared.rules, event, server, shown=[*shown, stripped(event)])
        if not kept:
            raise Conflict("Somebody of this server has joined the room meanwhile")

    async def _through(
        self, wish: Wish, server: ServerName
    ) -> tuple[ServerName, Prepared, list[dict[str, Any]]]:
        prepared = await self._handshakes.make(server, wish)
        answer = await self._handshakes.send(
            server, prepared, _read, versions=(1,), limit=ANSWER_BYTES, times=TIMES
        )
        shown = await self._shown.stripped(
            prepared.rules, prepared.event.room_id, answer.knock_room_state, refuse=False
        )
        return server, prepared, shown


async def _read(version: int, answer: FederationAnswer) -> _Answer:
    return await read(answer, _Answer)
