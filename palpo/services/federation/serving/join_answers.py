"""What a server is told of a room that one of its users has joined.

The whole state, or, where the server asks for that, the state without most of its members (MSC3706, MSC3943):
so few events that a room of any size is joined at once.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from palpo.core import state_tree
from palpo.core.canonical_json import to_json
from palpo.core.identifiers import ServerName
from palpo.core.membership import BAN, INVITE, JOIN, LEAVE
from palpo.core.state_keys import CANONICAL_ALIAS, MEMBER, NAME
from palpo.db.engine import Database
from palpo.services.federation.servers.room_servers import RoomServers
from palpo.services.federation.serving.sent_memberships import SentMembership
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.event_store import EventStore
from palpo.storage import memberships

MAX_HEROES = 5
HERE, GONE = (JOIN, INVITE), (LEAVE, BAN)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinAnswer:
    """The room as it was before somebody joined, by the IDs of events."""

    event: bytes
    """The join, as JSON, with this server's signature."""
    state: Collection[str]
    auth_chain: Collection[str]
    servers_in_room: list[str] | None
    """Who was in the room; None where all members are in the state."""


class JoinAnswers:
    """Gathers them."""

    def __init__(
        self,
        server_name: ServerName,
        db: Database,
        store: EventStore,
        chains: AuthChains,
        servers: RoomServers,
    ) -> None:
        self._server_name = server_name
        self._db = db
        self._store = store
        self._chains = chains
        self._servers = servers

    async def servers(self, room_id: str) -> list[str]:
        """Those that are in a room, this one among them."""
        return [self._server_name, *sorted(await self._servers.joined(room_id))]

    async def whole(self, joined: SentMembership) -> JoinAnswer:
        """All of the state, and all that it and the join rest on."""
        state = [
            event_id
            async for part in self._store.state_in_parts(joined.stored.state_before)
            for event_id in part.values()
        ]
        return JoinAnswer(
            event=to_json(joined.event.pdu),
            state=state,
            auth_chain=await self._chains.of([*state, joined.event.event_id]),
            servers_in_room=None,
        )

    async def partial(self, joined: SentMembership, servers: list[str]) -> JoinAnswer:
        """The state without the members, but for those that the room is called by where it has no name.

        ``servers`` are those that were in the room before.
        """
        root = joined.stored.state_before
        state = [
            event_id
            async for part in self._store.state_in_parts(root)
            for (type_, _), event_id in part.items()
            if type_ != MEMBER
        ]
        state += await self._heroes(joined)
        whole = await self._chains.of([*state, joined.event.event_id])
        return JoinAnswer(
            event=to_json(joined.event.pdu),
            state=state,
            auth_chain=whole.difference(state),
            servers_in_room=servers,
        )

    async def _heroes(self, joined: SentMembership) -> list[str]:
        """The memberships of those by whom a room without a name is called."""
        root = joined.stored.state_before
        if await self._store.state_events(root, [NAME, CANONICAL_ALIAS]):
            return []
        event = joined.event
        for kinds in (HERE, GONE):
            read = partial(
                memberships.first_users, room_id=event.room_id, memberships_=kinds, limit=MAX_HEROES + 1
            )
            first = await self._db.read(read)
            keys = [(MEMBER, user_id) for user_id, _ in first if user_id != event.sender][:MAX_HEROES]
            found = await self._store.read_state(state_tree.get_many(root, keys))
            if found:
                return list(found.values())
        return []
