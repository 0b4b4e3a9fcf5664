"""The two orders in which events are replayed (spec: rooms/v2, "Definitions")."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from math import inf

from palpo.core.events import SignedEvent, StateKey
from palpo.core.membership import BAN, LEAVE, membership_of
from palpo.core.power_levels import PowerLevels
from palpo.core.room_versions import RoomVersion
from palpo.core.state_keys import CREATE, POWER_LEVELS
from palpo.core.state_resolution.requests import Known, Resolving, paused

_Rank = tuple[int, int, str]


def is_power_event(event: SignedEvent) -> bool:
    """Whether the event might take away someone's ability to do something in the room."""
    if event.type in ("m.room.power_levels", "m.room.join_rules"):
        return True
    return (
        event.type == "m.room.member"
        and membership_of(event) in (LEAVE, BAN)
        and event.sender != event.state_key
    )


def power_order(
    rules: RoomVersion, known: Known, events: Mapping[str, SignedEvent]
) -> Resolving[list[SignedEvent]]:
    """Reverse topological power ordering: auth events first, then by power, time and ID."""
    ranks = yield from _power_ranks(rules, known, events.values())
    blocked = {name: {auth for auth in event.auth_events if auth in events} for name, event in events.items()}
    unblocks: dict[str, list[str]] = {}
    for name, waits_for in blocked.items():
        for auth in waits_for:
            unblocks.setdefault(auth, []).append(name)
    ready = [ranks[name] for name, waits_for in blocked.items() if not waits_for]
    heapify(ready)
    order: list[SignedEvent] = []
    while ready:
        yield from paused(len(order))
        name = heappop(ready)[2]
        order.append(events[name])
        for child in unblocks.get(name, ()):
            blocked[child].remove(name)
            if not blocked[child]:
                heappush(ready, ranks[child])
    return order


def _power_ranks(
    rules: RoomVersion, known: Known, events: Collection[SignedEvent]
) -> Resolving[dict[str, _Rank]]:
    """What decides between events with no order otherwise: the sender's power as the auth events say it."""
    names = [name for event in events for name in event.auth_events]
    if rules.create_event_is_room_id:
        names += [f"${event.room_id[1:]}" for event in events]
    auth_events = yield from known.events(names)
    ranks = {}
    for number, event in enumerate(events):
        yield from paused(number)
        cited = [auth_events[name] for name in event.auth_events if name in auth_events]
        create = _first(cited, CREATE)
        if rules.create_event_is_room_id:
            create = auth_events.get(f"${event.room_id[1:]}")
        levels = PowerLevels.from_state(rules, create, _first(cited, POWER_LEVELS))
        ranks[event.event_id] = (-levels.user(event.sender), event.origin_server_ts, event.event_id)
    return ranks


def mainline_order(
    known: Known, tip: SignedEvent | None, events: Sequence[SignedEvent]
) -> Resolving[list[SignedEvent]]:
    """Mainline ordering based on the power levels ``tip``: oldest power levels first, then time and ID."""
    positions = yield from _mainline_positions(known, tip, events)
    return sorted(
        events,
        key=lambda event: (-positions[event.event_id], event.origin_server_ts, event.event_id),
    )


def _mainline_positions(
    known: Known, tip: SignedEvent | None, events: Sequence[SignedEvent]
) -> Resolving[dict[str, float]]:
    """Each event's mainline position; infinite where its line of power levels never meets the mainline."""
    if tip is None:
        return dict.fromkeys((event.event_id for event in events), inf)
    yield from known.events(name for event in events for name in event.auth_events)
    nearest: dict[str, SignedEvent | None] = {}
    for number, event in enumerate(events):
        yield from paused(number)
        nearest[event.event_id] = yield from _previous_power_levels(known, event)
    starts = {power.event_id: power for power in nearest.values() if power is not None}
    met = yield from _meet_mainline(known, tip, starts)
    return {name: inf if power is None else met[power.event_id] for name, power in nearest.items()}


def _meet_mainline(
    known: Known, tip: SignedEvent | None, starts: Mapping[str, SignedEvent]
) -> Resolving[dict[str, float]]:
    """Where the line of power levels from each of ``starts`` meets the mainline from ``tip``.

    Both grow one event a round, so that no more history is read than it takes. From where they meet on
    the two are one, so the first meeting found is the one with the smallest indices.
    """
    mainline: dict[str, int] = {}
    lines = {name: {name} for name in starts}
    heads: dict[str, SignedEvent | None] = dict(starts)
    positions: dict[str, float] = {}
    while len(positions) < len(starts):
        if tip is not None:
            mainline[tip.event_id] = len(mainline)
        pending = [name for name in starts if name not in positions]
        for number, name in enumerate(pending):
            yield from paused(number)
            head = heads[name]
            if tip is not None and tip.event_id in lines[name]:
                positions[name] = mainline[tip.event_id]
            elif head is not None and head.event_id in mainline:
                positions[name] = mainline[head.event_id]
            elif tip is None and head is None:
                positions[name] = inf
        front = [event for event in (tip, *(heads[name] for name in pending)) if event is not None]
        yield from known.events(name for event in front for name in event.auth_events)
        tip = yield from _previous_power_levels(known, tip)
        for number, name in enumerate(pending):
            yield from paused(number)
            heads[name] = head = yield from _previous_power_levels(known, heads[name])
            if head is not None:
                lines[name].add(head.event_id)
    return positions


def _previous_power_levels(known: Known, event: SignedEvent | None) -> Resolving[SignedEvent | None]:
    if event is None:
        return None
    return _first((yield from known.events(event.auth_events)).values(), POWER_LEVELS)


def _first(events: Iterable[SignedEvent], key: StateKey) -> SignedEvent | None:
    return next((event for event in events if event.is_state and event.key == key), None)
