"""State resolution over what is stored: the answers to ``core.state_resolution``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from palpo.core import state_tree
from palpo.core.driving import drive_async
from palpo.core.events import StateKey
from palpo.core.records.events import EventStatus
from palpo.core.room_versions import RoomVersion
from palpo.core.state_resolution import (
    NeedAuthDifference,
    NeedEvents,
    NeedRejected,
    NeedState,
    NeedSubgraph,
    Pause,
    Request,
    find_conflicts,
    resolve,
)
from palpo.core.state_tree import Update
from palpo.services.history.auth_chains import AuthChains
from palpo.services.history.event_store import EventStore
from palpo.streams.turns import Turns


class StateResolver:
    """Resolves states whose events, and all that they rest on, are in storage and in the index.

    Costs what the states differ in, whatever their size and the room's age.
    """

    def __init__(self, store: EventStore, auth_chains: AuthChains) -> None:
        self._store = store
        self._auth_chains = auth_chains

    async def resolve(
        self, rules: RoomVersion, roots: Sequence[bytes], unsaved: Mapping[bytes, bytes] | None = None
    ) -> Update:
        """The state that the states ``roots`` (one at least) come to, and the nodes to store for it.

        ``unsaved`` has nodes of theirs that are not stored yet.
        """
        nodes = unsaved or {}
        conflicts = await self._store.read_state(find_conflicts(roots), nodes)
        conflicted = {key for state in conflicts for key in state}
        answer = partial(self._answer, roots[0], nodes, conflicted, Turns())
        changes: Mapping[StateKey, str | None] = await drive_async(resolve(rules, conflicts), answer)
        if not changes:
            return Update(root=roots[0], new_nodes={})
        return await self._store.read_state(state_tree.update(roots[0], changes), nodes)

    async def _answer(
        self,
        root: bytes,
        nodes: Mapping[bytes, bytes],
        conflicted: Collection[StateKey],
        turns: Turns,
        request: Request,
    ) -> Any:
        """The answer of the type that the request names."""
        await turns.breathe()
        match request:
            case NeedEvents():
                return await self._store.signed(request.event_ids)
            case NeedRejected():
                return await self._rejected(request.event_ids)
            case NeedState():
                return await self._store.read_state(state_tree.get_many(root, request.keys), nodes)
            case NeedAuthDifference():
                return await self._auth_chains.difference(request.state_sets)
            case Pause():
                return None
            case NeedSubgraph():
                return await self._auth_chains.subgraph(request.event_ids)
            case _:
                return await self._unconflicted_ancestors(request.candidates, root, nodes, conflicted)

    async def _rejected(self, event_ids: Iterable[str]) -> list[str]:
        found = await self._store.statuses(event_ids)
        return [event_id for event_id, status in found.items() if status is EventStatus.REJECTED]

    async def _unconflicted_ancestors(
        self,
        candidates: Collection[str],
        root: bytes,
        nodes: Mapping[bytes, bytes],
        conflicted: Collection[StateKey],
    ) -> set[str]:
        state = await self._store.read_state(state_tree.items(root), nodes)
        agreed = (event_id for key, event_id in state.items() if key not in conflicted)
        return await self._auth_chains.shared(candidates, agreed)
