"""Answers to a resolution from events in memory: for tests, and for states that come with their events."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Any

from palpo.core.events import SignedEvent, StateKey
from palpo.core.state_resolution.requests import (
    NeedAuthDifference,
    NeedEvents,
    NeedRejected,
    NeedState,
    NeedSubgraph,
    Pause,
    Request,
)


class MemoryRoom:
    """Answers every request by walking ``auth_events``; costs the whole auth chain."""

    def __init__(
        self,
        events: Mapping[str, SignedEvent],
        unconflicted: Mapping[StateKey, str],
        rejected: Container[str] = (),
    ) -> None:
        self._events = events
        self._unconflicted = unconflicted
        self._rejected = rejected

    def answer(self, request: Request) -> Any:
        """The answer of the type that the request names."""
        match request:
            case NeedEvents():
                return {name: self._events[name] for name in request.event_ids if name in self._events}
            case NeedRejected():
                return [name for name in request.event_ids if name in self._rejected]
            case NeedState():
                state = self._unconflicted
                return {key: state[key] for key in request.keys if key in state}
            case NeedAuthDifference():
                return self.auth_difference(request.state_sets)
            case Pause():
                return None
            case NeedSubgraph():
                return conflicted_subgraph(self._events, request.event_ids)
            case _:
                return request.candidates & auth_chain(self._events, self._unconflicted.values())

    def auth_difference(self, state_sets: Sequence[Collection[str]]) -> set[str]:
        """What ``NeedAuthDifference`` asks for; an index of auth chains can stand in here."""
        return auth_difference(self._events, state_sets)


def auth_chain(events: Mapping[str, SignedEvent], event_ids: Iterable[str]) -> set[str]:
    """The events and all that they rest on, by ``auth_events``; unknown events are left out."""
    chain: set[str] = set()
    waiting = [event_id for event_id in event_ids if event_id in events]
    while waiting:
        event_id = waiting.pop()
        if event_id not in chain:
            chain.add(event_id)
            waiting += [name for name in events[event_id].auth_events if name in events]
    return chain


def auth_difference(events: Mapping[str, SignedEvent], state_sets: Sequence[Collection[str]]) -> set[str]:
    """The union of the sets' auth chains without their intersection."""
    chains = [auth_chain(events, state_set) for state_set in state_sets]
    return set[str]().union(*chains) - chains[0].intersection(*chains)


def conflicted_subgraph(events: Mapping[str, SignedEvent], event_ids: Collection[str]) -> set[str]:
    """The events on paths of ``auth_events`` between any two of ``event_ids``, with the ends."""
    chain = auth_chain(events, event_ids)
    children: dict[str, list[str]] = {}
    for event_id in chain:
        for parent in events[event_id].auth_events:
            children.setdefault(parent, []).append(event_id)
    above: set[str] = set()
    waiting = [event_id for event_id in event_ids if event_id in events]
    while waiting:
        event_id = waiting.pop()
        if event_id not in above:
            above.add(event_id)
            waiting += children.get(event_id, ())
    return above
