"""Merge forks of a room's state (spec: rooms/v1, rooms/v2, rooms/v12, "State resolution").

``resolve`` takes only what the state sets disagree on and is a generator: it yields requests, each
naming the type of its answer, and is sent the answers. So it costs what the conflict costs, whatever
the size of the room's state; they come from memory (``MemoryRoom``), or
from the database and its index of auth chains.

    find_conflicts    the disagreement between state trees, by their difference
    split             the same between plain mappings
    resolve           the changes that make any one of the state sets the resolved state
    resolve_states    all at once, over events in memory
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

from palpo.core import state_tree
from palpo.core.driving import drive
from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import RoomVersion, StateResolution
from palpo.core.state_resolution import v1, v2
from palpo.core.state_resolution.memory import MemoryRoom
from palpo.core.state_resolution.requests import (
    Conflicts,
    NeedAuthDifference,
    NeedEvents,
    NeedRejected,
    NeedState,
    NeedSubgraph,
    NeedUnconflictedAncestors,
    Pause,
    Request,
    Resolving,
)

__all__ = [
    "Conflicts",
    "MemoryRoom",
    "NeedAuthDifference",
    "NeedEvents",
    "NeedRejected",
    "NeedState",
    "NeedSubgraph",
    "NeedUnconflictedAncestors",
    "Pause",
    "Request",
    "Resolving",
    "find_conflicts",
    "resolve",
    "resolve_states",
    "split",
]


def resolve(rules: RoomVersion, conflicts: Conflicts) -> Resolving[dict[StateKey, str | None]]:
    """What the resolved state has at each key on which state sets differ; None for nothing.

    The result is the change to make to any of the state sets. It covers every conflicted key, and may
    set keys that none of the sets has.
    """
    if len(conflicts) < 2 or not any(conflicts):
        return {}
    version1 = rules.state_resolution is StateResolution.V1
    winners = yield from (v1.resolve if version1 else v2.resolve)(rules, conflicts)
    conflicted = {key for state in conflicts for key in state}
    return {**dict.fromkeys(conflicted), **winners}


def find_conflicts(roots: Sequence[bytes]) -> state_tree.Reading[Conflicts]:
    """What the state trees with these roots differ on; equal roots count once."""
    first, *others = dict.fromkeys(roots)
    differences = []
    for other in others:
        differences.append((yield from state_tree.diff(first, other)))
    base = {key: pair[0] for difference in differences for key, pair in difference.items()}
    states = [base]
    states += [{**base, **{key: pair[1] for key, pair in found.items()}} for found in differences]
    return tuple(
        {key: event_id for key, event_id in state.items() if event_id is not None} for state in states
    )


def split(state_sets: Sequence[Mapping[StateKey, str]]) -> tuple[dict[StateKey, str], Conflicts]:
    """The unconflicted state map, and each set's share of the conflicted state."""
    keys = {key for state in state_sets for key in state}
    conflicted = {key for key in keys if len({state.get(key) for state in state_sets}) > 1}
    agreed = {key: event_id for key, event_id in state_sets[0].items() if key not in conflicted}
    shares = ({key: state[key] for key in conflicted & state.keys()} for state in state_sets)
    return agreed, tuple(shares)


def resolve_states(
    rules: RoomVersion,
    state_sets: Sequence[Mapping[StateKey, str]],
    events: Mapping[str, SignedEvent],
    rejected: Container[str] = (),
) -> dict[StateKey, str]:
    """The resolution of state sets whose events, and their auth chains, are in memory."""
    agreed, conflicts = split(state_sets)
    changes = drive(resolve(rules, conflicts), MemoryRoom(events, agreed, rejected).answer)
    resolved = agreed | changes
    return {key: event_id for key, event_id in resolved.items() if event_id is not None}
