"""What relates to an event, for other servers (MSC2836)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial

from palpo.core.errors import NotFound
from palpo.core.records.events import EventStatus, StoredEvent
from palpo.services.federation.servers.residents import Residents
from palpo.services.federation.servers.server_acls import ServerAcls
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.event_store import EventStore
from palpo.services.history.server_visibility import ServerVisibility
from palpo.services.reading.event_relationships import EventRelationships, Reader, Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Events that a walk came by, and what they rest on: by ID."""

    events: Sequence[str]
    limited: bool
    auth_chain: Collection[str]


class ServedRelationships:
    """Walks for servers that are in the room."""

    def __init__(
        self,
        store: EventStore,
        relationships: EventRelationships,
        residents: Residents,
        acls: ServerAcls,
        visibility: ServerVisibility,
        chains: AuthChains,
    ) -> None:
        self._store = store
        self._relationships = relationships
        self._residents = residents
        self._acls = acls
        self._visibility = visibility
        self._chains = chains

    async def walk(self, server: str, walk: Walk) -> Around:
        """The events around one that a server may see in full; raises NotFound, Forbidden."""
        anchor = await self._store.find(walk.event_id)
        if anchor is None or anchor.status is not EventStatus.ACCEPTED:
            raise NotFound("Event not found")
        if walk.room_id not in (None, anchor.event.room_id):
            raise NotFound("Event not found")
        await self._acls.check(anchor.event.room_id, server)
        await self._residents.check(anchor.event.room_id, server)
        visible = partial(self._visible, server)
        if not await visible([anchor]):
            raise NotFound("Event not found")
        found = await self._relationships.around(anchor, walk, Reader(visible))
        events = [item.event_id for item in found.events]
        signed = await self._store.signed(events)
        cited = {name for event in signed.values() for name in event.auth_events}
        chain = {*cited, *await self._chains.of(cited)}
        return Around(events=events, limited=found.limited, auth_chain=chain)

    async def _visible(self, server: str, items: Sequence[StoredEvent]) -> list[StoredEvent]:
        accepted = [item for item in items if item.status is EventStatus.ACCEPTED]
        hidden = await self._visibility.hidden(accepted, server)
        return [item for item in accepted if item.event_id not in hidden]
