"""State resolution of room versions 2 to 11, and its revision 2.1 of version 12.

Spec: rooms/v2 and rooms/v12, "State resolution"; MSC1442, MSC4297. Where the text leaves room, this
is what keeps servers in agreement and the cost with the conflict rather than with the room:

- A state's auth chain, for the auth difference, includes the state's own events. An event that every
  state has is then never replayed just because only one state has something that rests on it; its
  key is settled by the unconflicted state anyway.
- The unconflicted state takes part through look-ups by key, and in the auth difference through what
  is left to ask after the conflicted events' own difference is known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import RoomVersion, StateResolution
from palpo.core.state_keys import POWER_LEVELS
from palpo.core.state_resolution.ordering import is_power_event, mainline_order, power_order
from palpo.core.state_resolution.replay import Replay
from palpo.core.state_resolution.requests import (
    PAUSE,
    Conflicts,
    Known,
    NeedAuthDifference,
    NeedSubgraph,
    NeedUnconflictedAncestors,
    Resolving,
    unconflicted,
)


def resolve(rules: RoomVersion, conflicts: Conflicts) -> Resolving[dict[StateKey, str]]:
    """The events that win, at conflicted keys and at keys that no state set has."""
    known = Known()
    revised = rules.state_resolution is StateResolution.V2_1
    conflicted_keys = {key for state in conflicts for key in state}
    names = yield from _full_conflicted_set(known, conflicts, conflicted_keys, subgraph=revised)
    yield PAUSE
    found = yield from known.events(sorted(names))
    yield PAUSE
    events = {name: event for name, event in found.items() if event.is_state}
    yield PAUSE
    power = _power_closure(events)
    replay = Replay(rules, known, conflicted_keys, on_unconflicted=not revised)
    yield from replay.apply((yield from power_order(rules, known, power)))
    tip = yield from replay.get(POWER_LEVELS)
    others = [event for name, event in events.items() if name not in power]
    yield from replay.apply((yield from mainline_order(known, tip, others)))
    agreed = yield from unconflicted(sorted(replay.state), conflicted_keys)
    return {key: event.event_id for key, event in replay.state.items() if key not in agreed}


def _full_conflicted_set(
    known: Known, conflicts: Conflicts, conflicted_keys: Collection[StateKey], *, subgraph: bool
) -> Resolving[set[str]]:
    sets = tuple(frozenset(state.values()) for state in conflicts)
    conflicted = frozenset[str]().union(*sets)
    difference: Collection[str] = yield NeedAuthDifference(state_sets=sets)
    extra = yield from _not_unconflicted(known, set(difference) - conflicted, conflicted_keys)
    if subgraph:
        between: Collection[str] = yield NeedSubgraph(event_ids=conflicted)
        extra |= set(between)
    return extra | conflicted


def _not_unconflicted(
    known: Known, candidates: set[str], conflicted_keys: Collection[StateKey]
) -> Resolving[set[str]]:
    """The candidates that are not in the auth chain of the unconflicted state, and so of every state set.

    Most are part of that state, or right below a part of it: that is settled by look-ups. Only what is
    left takes a search through the whole state.
    """
    if not candidates:
        return set()
    events = yield from known.events(sorted(candidates))
    keys = {event.key for event in events.values() if event.is_state}
    current = yield from unconflicted(sorted(keys), conflicted_keys)
    left = candidates - _chain_within(events, candidates.intersection(current.values()))
    if not left:
        return left
    shared: Collection[str] = yield NeedUnconflictedAncestors(candidates=frozenset(left))
    return left - set(shared)


def _power_closure(events: Mapping[str, SignedEvent]) -> dict[str, SignedEvent]:
    """The power events, and those of ``events`` in their auth chains."""
    power = [name for name, event in events.items() if is_power_event(event)]
    chain = _chain_within(events, power)
    return {name: event for name, event in events.items() if name in chain}


def _chain_within(events: Mapping[str, SignedEvent], event_ids: Iterable[str]) -> set[str]:
    """``event_ids`` and all they rest on, along paths that stay within ``events``."""
    chain: set[str] = set()
    waiting = list(event_ids)
    while waiting:
        name = waiting.pop()
        if name in events and name not in chain:
            chain.add(name)
            waiting += events[name].auth_events
    return chain
