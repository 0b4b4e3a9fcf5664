"""Rooms' states and auth chains, for other servers (spec: server-server API, "Retrieving events").

Only IDs are gathered; the events themselves are read piece by piece while they are sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from itertools import islice

from palpo.core import state_tree
from palpo.core.errors import Forbidden, NotFound
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.services.federation.servers.residents import Residents
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.event_store import EventStore
from palpo.streams.turns import Turns

AT_ONCE = 200
"""Events that are read together."""
BATCH = 500
"""Entries of a state, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StateIds:
    """A state by its events, and the events that these rest on."""

    state: Collection[str]
    auth_chain: Collection[str]


class ServedState:
    """Reads states for servers that are in their rooms."""

    def __init__(self, store: EventStore, residents: Residents, chains: AuthChains) -> None:
        self._store = store
        self._residents = residents
        self._chains = chains

    async def before(self, server: str, room_id: str, event_id: str) -> StateIds:
        """The state of a room before an event; raises NotFound, Forbidden."""
        item = await self._event(server, room_id, event_id)
        if (await self._residents.check(room_id, server)).row.is_partial:
            raise Forbidden("The members of the room are not all known here yet")
        if item.status in (EventStatus.OUTLIER, EventStatus.REJECTED):
            raise NotFound("The state at the event is not known here")
        return await self.of(item.state_before)

    async def of(self, root: bytes) -> StateIds:
        """The state of that root."""
        state: list[str] = []
        async for part in Turns().over(await self._store.read_state(state_tree.parts(root, BATCH))):
            state += (await self._store.read_state(state_tree.items(part))).values()
        return StateIds(state=state, auth_chain=await self._chains.of(state))

    async def auth_chain(self, server: str, room_id: str, event_id: str) -> Collection[str]:
        """The events that one rests on; raises NotFound, Forbidden."""
        item = await self._event(server, room_id, event_id)
        signed = (await self._store.signed([item.event_id]))[item.event_id]
        return {*signed.auth_events, *await self._chains.of(signed.auth_events)}

    async def pdus(self, event_ids: Iterable[str]) -> AsyncIterator[bytes]:
        """Events as servers exchange them, each as JSON: those that are stored."""
        rest = iter(event_ids)
        while some := list(islice(rest, AT_ONCE)):
            for pdu in (await self._store.pdus(some)).values():
                yield pdu

    async def _event(self, server: str, room_id: str, event_id: str) -> StoredEvent:
        await self._residents.check(room_id, server)
        item = await self._store.find(event_id)
        if item is None or item.event.room_id != room_id:
            raise NotFound("Event not found")
        return item
