"""State resolution of room version 1 (spec: rooms/v1, "State resolution")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha1

from palpo.core.events import SignedEvent, StateKey
from palpo.core.room_versions import RoomVersion
from palpo.core.state_resolution.replay import auth_keys, is_allowed
from palpo.core.state_resolution.requests import Conflicts, Known, Resolving, paused, unconflicted

_AUTH_TYPES = ("m.room.power_levels", "m.room.join_rules", "m.room.member")
_Contests = Mapping[StateKey, list[SignedEvent]]


def resolve(rules: RoomVersion, conflicts: Conflicts) -> Resolving[dict[StateKey, str]]:
    """The events that win at the conflicted keys; a key where none does is left out.

    Different from version 2, a key that some state sets lack is in conflict only where the others
    differ on it: what only some have is part of the union that resolution starts from.
    """
    known = Known()
    candidates: dict[StateKey, set[str]] = {}
    for state in conflicts:
        for key, event_id in state.items():
            candidates.setdefault(key, set()).add(event_id)
    events = yield from known.events(sorted(name for names in candidates.values() for name in names))
    contests: dict[StateKey, list[SignedEvent]] = {}
    resolved: dict[StateKey, SignedEvent] = {}
    for key, names in candidates.items():
        found = [events[name] for name in names if name in events]
        if len(found) == 1:
            resolved[key] = found[0]
        elif found:
            contests[key] = _by_age(found)
    surroundings = yield from _surroundings(rules, known, contests, candidates.keys())
    yield from _settle(rules, contests, resolved, surroundings)
    return {key: event.event_id for key, event in resolved.items()}


def _by_age(events: Iterable[SignedEvent]) -> list[SignedEvent]:
    """Ascending depth, then descending SHA-1 of the event ID."""

    def age(event: SignedEvent) -> tuple[int, int]:
        digest = sha1(event.event_id.encode(), usedforsecurity=False).digest()
        return event.depth, -int.from_bytes(digest, "big")

    return sorted(events, key=age)


def _surroundings(
    rules: RoomVersion, known: Known, contests: _Contests, conflicted: Iterable[StateKey]
) -> Resolving[dict[StateKey, SignedEvent]]:
    """The unconflicted state that bears on the events in ``contests``."""
    keys = {key for events in contests.values() for event in events for key in auth_keys(rules, event)}
    names = yield from unconflicted(sorted(keys), set(conflicted))
    events = yield from known.events(names.values())
    return {key: events[name] for key, name in names.items() if name in events}


def _settle(
    rules: RoomVersion,
    contests: _Contests,
    resolved: dict[StateKey, SignedEvent],
    surroundings: Mapping[StateKey, SignedEvent],
) -> Resolving[None]:
    """Add the winner of each contest to ``resolved``, what bears on other events first."""
    for wanted in _AUTH_TYPES:
        for number, key in enumerate(sorted(key for key in contests if key[0] == wanted)):
            yield from paused(number)
            first, *others = contests[key]
            resolved[key] = first
            for event in others:
                if not is_allowed(rules, event, {**surroundings, **resolved}):
                    break
                resolved[key] = event
    auth_state = {**surroundings, **resolved}
    for number, key in enumerate(contests.keys() - resolved.keys()):
        yield from paused(number)
        allowed = (event for event in reversed(contests[key]) if is_allowed(rules, event, auth_state))
        winner = next(allowed, None)
        if winner is not None:
            resolved[key] = winner
